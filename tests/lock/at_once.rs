//! Several takers at once: never two holders.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_come_at_once_never_both_hold() {
    let place = Place::new();
    let (mut one, mut none) = (0, 0);
    for _ in 0..50 {
        let (first, second) = (place.door(), place.door());
        let (first, second) =
            tokio::join!(place.take(&first, &FIRST), place.take(&second, &SECOND));
        match (first, second) {
            (Ok(_), Ok(_)) => panic!("both hold the node: {:?}", place.names()),
            (Ok(lock), Err(error)) | (Err(error), Ok(lock)) => {
                assert!(matches!(error, LockError::Held(_)), "{error}");
                lock.release().await;
                one += 1;
            }
            (Err(first), Err(second)) => {
                assert!(matches!(first, LockError::Held(_)), "{first}");
                assert!(matches!(second, LockError::Held(_)), "{second}");
                none += 1;
            }
        }
        assert_eq!(place.names(), [""; 0]);
    }
    println!("one got it {one} times, both gave way {none} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_come_to_their_turn_one_at_a_time() {
    let place = Arc::new(Place::new());
    let inside = Arc::new(AtomicU32::new(0));
    let takers = (0..5).map(|number| {
        let (place, inside) = (Arc::clone(&place), Arc::clone(&inside));
        tokio::spawn(async move {
            let run = format!("run-{number}");
            let holder = Holder { run: &run, ..FIRST };
            let lock = place.wait_for(&place.door(), &holder).await.0.unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the node");
            tokio::time::sleep(Duration::from_millis(100)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            lock.release().await;
        })
    });
    for taker in futures::future::join_all(takers).await {
        taker.unwrap();
    }
    assert_eq!(place.names(), [""; 0]);
}
