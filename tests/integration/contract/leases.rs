//! What every storage promises about leases: one function per promise, called for each implementation in `storages`.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use sbm::storage::{Condition, Error};

use super::{
    engine::PATIENCE,
    storage::{Fixture, LONG, put, text},
};

pub(crate) async fn a_lease_has_one_holder(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let error = storage.lease("a", LONG).await.unwrap_err();
    assert!(matches!(error, Error::NoObject { .. }), "{error:?}");
    put(storage, "a", "1").await;
    put(storage, "b", "1").await;
    let all = (0..8).map(|index| {
        let storage = if index % 2 == 0 { storage } else { other };
        async move { (index, storage.lease("a", LONG).await.unwrap()) }
    });
    let taken = join_all(all).await;
    let mut taken = taken
        .into_iter()
        .filter_map(|(index, lease)| Some((index, lease?)));
    let (winner, lease) = taken.next().unwrap();
    assert!(taken.next().is_none());
    let (winner, loser) = if winner % 2 == 0 {
        (storage, other)
    } else {
        (other, storage)
    };
    winner.renew(&lease).await.unwrap();
    assert!(winner.lease("a", LONG).await.unwrap().is_none());
    assert!(loser.lease("b", LONG).await.unwrap().is_some());
    winner.release(lease.clone()).await.unwrap();
    winner.release(lease.clone()).await.unwrap();
    let next = loser.lease("a", LONG).await.unwrap().unwrap();
    assert_ne!(next.id, lease.id);
    let error = winner.renew(&lease).await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }), "{error:?}");
    // To give back what is lost takes nothing from the present holder.
    winner.release(lease).await.unwrap();
    loser.renew(&next).await.unwrap();
}

pub(crate) async fn only_the_holder_writes_a_leased_object(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let version = put(storage, "a", "1").await;
    let lease = storage.lease("a", LONG).await.unwrap().unwrap();
    storage.begin("lines").await.unwrap();
    let of_lines = storage.lease("lines", LONG).await.unwrap().unwrap();
    let bytes = || Bytes::from_static(b"2");
    let refused = [
        other.put("a", bytes(), Condition::Any).await.err(),
        storage.put("a", bytes(), Condition::Any).await.err(),
        other
            .put("a", bytes(), Condition::Unchanged(version))
            .await
            .err(),
        other.append("lines", bytes()).await.err(),
        storage.append("lines", bytes()).await.err(),
        other.delete("a", None).await.err(),
        other.delete_all("a").await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::Leased { .. })), "{error:?}");
    }
    assert_eq!(text(other, "a").await.unwrap(), "1");
    for index in 2..4 {
        let bytes = Bytes::from(index.to_string());
        let condition = Condition::leased(&lease.id);
        storage.put("a", bytes, condition).await.unwrap();
    }
    assert_eq!(text(other, "a").await.unwrap(), "3");
    storage.release(lease).await.unwrap();
    put(other, "a", "4").await;
    storage.release(of_lines).await.unwrap();
    other.append("lines", bytes()).await.unwrap();
    assert_eq!(text(storage, "lines").await.unwrap(), "2");
}

pub(crate) async fn a_lease_ends_with_its_object(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    put(storage, "a", "1").await;
    let lease = storage.lease("a", LONG).await.unwrap().unwrap();
    assert!(storage.delete("a", Some(&lease.id)).await.unwrap());
    put(other, "a", "2").await;
    assert!(storage.renew(&lease).await.is_err());
    assert!(other.lease("a", LONG).await.unwrap().is_some());
}

pub(crate) async fn a_lease_lasts_while_it_is_renewed(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    put(storage, "a", "1").await;
    let began = std::time::Instant::now();
    let mut lease = storage.lease("a", fixture.shortest).await.unwrap().unwrap();
    while began.elapsed() < fixture.shortest * 2 {
        let renewed = std::time::Instant::now();
        storage.renew(&lease).await.unwrap();
        if let Some(taken) = other.lease("a", LONG).await.unwrap() {
            // Only a machine that stood still in between may let it lapse.
            assert!(renewed.elapsed() >= fixture.shortest);
            other.release(taken).await.unwrap();
            lease = storage.lease("a", fixture.shortest).await.unwrap().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A lease of the object `a` whose time is over, and that nobody has touched since.
async fn lapsed(fixture: &Fixture) -> sbm::storage::Lease {
    let (storage, _) = fixture.made().await;
    put(storage, "a", "1").await;
    let lease = storage.lease("a", fixture.shortest).await.unwrap().unwrap();
    let began = std::time::Instant::now();
    while began.elapsed() < PATIENCE * 2 {
        let condition = Condition::leased(&lease.id);
        if let Err(error) = storage.put("a", Bytes::new(), condition).await {
            assert!(matches!(error, Error::LeaseLost { .. }), "{error:?}");
            return lease;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the lease does not lapse");
}

pub(crate) async fn a_lease_that_nobody_took_is_renewed_after_it_lapsed(fixture: Fixture) {
    let lease = lapsed(&fixture).await;
    fixture.storage.renew(&lease).await.unwrap();
}

pub(crate) async fn a_lease_that_somebody_took_after_it_lapsed_is_lost(fixture: Fixture) {
    let lease = lapsed(&fixture).await;
    let taken = fixture.other.lease("a", LONG).await.unwrap().unwrap();
    let error = fixture.storage.renew(&lease).await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }), "{error:?}");
    fixture.other.renew(&taken).await.unwrap();
}

pub(crate) async fn a_lapsed_lease_is_lost_when_somebody_wrote(fixture: Fixture) {
    let lease = lapsed(&fixture).await;
    put(&*fixture.other, "a", "2").await;
    let error = fixture.storage.renew(&lease).await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }), "{error:?}");
    assert!(fixture.storage.lease("a", LONG).await.unwrap().is_some());
}
