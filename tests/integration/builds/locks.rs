//! One build of a database at a time.

use crate::support::{builds::note, fleet::on_each_platform};

on_each_platform!(
    builds_of_the_same_databases_do_not_block_each_other,
    2,
    |fleet| {
        let fleet = fleet.with_trace();
        let yaml = "scripts: [{file: a.sql, database: a}, {file: b.sql, database: b}]";
        let package = fleet.package(&[
            ("sbm.yaml", yaml),
            ("a.sql", &note("a")),
            ("b.sql", &note("b")),
        ]);
        let (one, two) = (&fleet.names[0], &fleet.names[1]);
        let children: Vec<_> = [format!("a,{one};b,{two}"), format!("a,{two};b,{one}")]
            .iter()
            .cycle()
            .take(6)
            .enumerate()
            .map(|(number, pairs)| {
                let list = fleet.folder.path().join(format!("{number}.cfg"));
                std::fs::write(&list, format!("{}:{pairs}\n", fleet.server())).unwrap();
                let logs = fleet.folder.path().join(format!("logs{number}"));
                let program = crate::support::program::Program::new(["threaded", "run"])
                    .option("--packagename", &package)
                    .option("--override", list)
                    .option("--rootloggingpath", logs);
                fleet.login(program).start()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{text}");
        }
        for index in 0..2 {
            let mut trace = fleet.trace(index);
            trace.sort();
            assert_eq!(trace, ["a", "a", "a", "b", "b", "b"]);
            assert_eq!(fleet.ledger(index), ["Committed"; 6]);
        }
    }
);

on_each_platform!(a_database_that_stays_locked_is_busy, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    fleet.package(&[("1.sql", &note("1")), ("2.sql", fleet.gate())]);
    let child = fleet.threaded_run().start();
    fleet.wait_for_script("2.sql");
    let logs = fleet.folder.path().join("other");
    let other = || {
        let program = crate::support::program::Program::new(["threaded", "run"])
            .option("--packagename", fleet.folder.path().join("package"))
            .option("--override", fleet.list(&fleet.lines()))
            .option("--rootloggingpath", &logs)
            .option("--lockwait", "0")
            .option("--output", "json");
        fleet.login(program).run()
    };
    let run = other().expect_code(1);
    assert_eq!(run.only("failed")["state"], "Busy");
    fleet.kill(child);
    fleet.open_gate(0);
    other().expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
});
