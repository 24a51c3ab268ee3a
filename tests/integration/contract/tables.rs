//! Our own tables and values: found whatever a script did, mended where they are old, and true to the microsecond.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use sbm::engine::{
    Mode, Value, audit, ledger,
    schema::{Changes, Table},
};
use uuid::Uuid;

use super::engine::{Fixture, row, run};

fn audit_run() -> audit::Run {
    audit::Run {
        package: "p.sbm".into(),
        package_hash: "H".repeat(40),
        user: "me".into(),
        requested_by: "r".repeat(256),
        description: "ä".repeat(500),
    }
}

fn audit_row(id: u128) -> audit::Row<'static> {
    audit::Row {
        file: "1.sql",
        id: Uuid::from_u128(id),
        hash: "h",
        text: "SELECT 1;",
        tag: "t",
        sequence: 0,
        started: Timestamp::now(),
        finished: Timestamp::now(),
    }
}

pub(crate) async fn an_old_audit_table_is_brought_up_to_date(fixture: Fixture) {
    let platform = fixture.engine.platform();
    fixture.admin(fixture.words.old_audit_table).await;
    let mut session = fixture.locked(Mode::Transactional).await;
    let changes = Changes::needed(&mut *session, platform).await.unwrap();
    changes.apply(&mut *session, platform).await.unwrap();
    session.begin().await.unwrap();
    audit::insert(
        &mut *session,
        &audit_run(),
        &fixture.database,
        &[audit_row(1)],
    )
    .await
    .unwrap();
    session.commit().await.unwrap();
    drop(session);
    let mut session = fixture.begun().await;
    let again = Changes::needed(&mut *session, platform).await.unwrap();
    assert!(again.is_empty(), "{again:?}");
    let table = session.table_name(Table::Audit);
    let sql = format!(
        "SELECT Sequence, Description, BuildRequestedBy, TargetDatabase FROM {table} ORDER BY CommitDate"
    );
    let rows = session.query(&sql, &[]).await.unwrap();
    let [old, new] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert_eq!(*old, [Value::Int(7), Value::Null, Value::Null, Value::Null]);
    let run = audit_run();
    assert_eq!(new[1].as_text(), Some(run.description.as_str()));
    assert_eq!(new[2].as_text(), Some(run.requested_by.as_str()));
    assert_eq!(new[3].as_text(), Some(fixture.database.as_str()));
}

pub(crate) async fn our_tables_are_found_whatever_a_script_did(fixture: Fixture) {
    fixture.with_tables().await;
    let mut session = fixture.begun().await;
    let names = Table::ALL.map(|table| session.table_name(table));
    run(&mut *session, fixture.words.hides_tables)
        .await
        .unwrap();
    session.settle().await.unwrap();
    assert_eq!(Table::ALL.map(|table| session.table_name(table)), names);
    assert!(session.columns(Table::Ledger).await.unwrap().len() > 5);
    let written = row(&fixture, 7, Timestamp::now());
    audit::insert(
        &mut *session,
        &audit_run(),
        &fixture.database,
        &[audit_row(1)],
    )
    .await
    .unwrap();
    ledger::write(&mut *session, &written, false).await.unwrap();
    session.commit().await.unwrap();
    drop(session);
    let mut session = fixture.begun().await;
    let found = ledger::read(&mut *session, written.run_id, &fixture.database).await;
    assert!(found.unwrap().is_some());
    let ids = [Uuid::from_u128(1)];
    let found = audit::already_run(&mut *session, &ids, None).await.unwrap();
    assert_eq!(found.len(), 1);
}

pub(crate) async fn values_come_back_as_they_went(fixture: Fixture) {
    fixture.admin(fixture.words.table_of_values).await;
    let text = "it's \"q\" \\ `b` [x] ? $1 @p %s\r\n\tä€ \u{1f40d} \u{202e}";
    let moments = [
        "2026-11-24T10:02:57.123456Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
    ];
    let numbers = [i64::MAX, i64::MIN, 0];
    let mut session = fixture.begun().await;
    for (index, (moment, number)) in moments.iter().zip(numbers).enumerate() {
        let values = [
            Value::Int(i64::try_from(index).unwrap()),
            Value::Int(number),
            Value::Bool(index == 0),
            Value::Text(text.repeat(index)),
            Value::Uuid(Uuid::from_u128(u128::MAX - 7)),
            Value::Time(moment.parse().unwrap()),
        ];
        let sql =
            "INSERT INTO v (id, number, truth, words, ident, moment) VALUES (?, ?, ?, ?, ?, ?)";
        assert_eq!(session.execute(sql, &values).await.unwrap(), 1);
    }
    let sql = "INSERT INTO v (id, number, truth, words, ident, moment) VALUES (3, ?, ?, ?, ?, ?)";
    session.execute(sql, &vec![Value::Null; 5]).await.unwrap();
    session.commit().await.unwrap();
    drop(session);
    let mut session = fixture.begun().await;
    let sql = "SELECT number, truth, words, ident, moment FROM v WHERE id < ? ORDER BY id";
    let rows = session.query(sql, &[Value::Int(4)]).await.unwrap();
    assert_eq!(rows[3], vec![Value::Null; 5]);
    for (index, (moment, number)) in moments.iter().zip(numbers).enumerate() {
        let row = &rows[index];
        assert_eq!(row[0].as_int(), Some(number));
        assert_eq!(row[1].as_int(), Some(i64::from(index == 0)));
        assert_eq!(row[2].as_text(), Some(text.repeat(index).as_str()));
        assert_eq!(row[3].as_uuid(), Some(Uuid::from_u128(u128::MAX - 7)));
        assert_eq!(time(&row[4]), moment.parse().unwrap());
    }
}

/// Also where the platform keeps moments as text.
fn time(value: &Value) -> Timestamp {
    match value {
        Value::Time(time) => *time,
        other => {
            let time: DateTime = other.as_text().unwrap().parse().unwrap();
            time.to_zoned(TimeZone::UTC).unwrap().timestamp()
        }
    }
}
