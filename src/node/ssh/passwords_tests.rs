use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// Passwords whose operator answers with `list` in turn, and how often he was asked.
fn passwords(list: &'static [&str]) -> (Arc<Passwords>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let ask: Ask = Arc::new(move |_: &Question<'_>| {
        list.get(count.fetch_add(1, Ordering::SeqCst)).map(|&text| text.into())
    });
    (Arc::new(Passwords::new(Asking::new(Some(ask)))), asked)
}

fn node(name: &str) -> Settings {
    Settings::plain(name)
}

async fn next(passwords: &Passwords, name: &str) -> Result<Trial, String> {
    passwords.trial(&node(name)).await
}

async fn text(passwords: &Passwords, name: &str) -> String {
    match next(passwords, name).await {
        Ok(trial) => trial.secret().expose_secret().to_owned(),
        Err(why) => why,
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_nobody_has_taken_yet_keeps_the_others_waiting() {
    let (passwords, asked) = passwords(&["good"]);
    let first = next(&passwords, "n1").await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(60), next(&passwords, "n2")).await;
    assert!(waiting.is_err(), "two nodes try it at once");
    first.accepted().await;
    let second = next(&passwords, "n2").await.unwrap();
    let third = next(&passwords, "n3").await.unwrap();
    assert!(second.is_proven() && third.is_proven());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn one_refusal_ends_a_password_for_all_and_an_old_one_does_not_hit_the_next() {
    let (passwords, asked) = passwords(&["old", "new"]);
    next(&passwords, "n1").await.unwrap().accepted().await;
    let (two, three) =
        (next(&passwords, "n2").await.unwrap(), next(&passwords, "n3").await.unwrap());
    two.refused(&node("n2")).await;
    assert_eq!(text(&passwords, "n4").await, "new");
    // It was on its way while the other was refused.
    three.refused(&node("n3")).await;
    assert_eq!(text(&passwords, "n4").await, "new");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_same_answer_again_ends_it() {
    let (passwords, asked) = passwords(&["same", "same", "good"]);
    next(&passwords, "n1").await.unwrap().refused(&node("n1")).await;
    for name in ["n1", "n2"] {
        assert_eq!(text(&passwords, name).await, "n1 refused it, it is not tried again");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn three_questions_are_enough() {
    let (passwords, asked) = passwords(&["a", "b", "c", "d"]);
    for name in ["n1", "n2", "n3"] {
        next(&passwords, name).await.unwrap().refused(&node(name)).await;
    }
    assert_eq!(text(&passwords, "n4").await, "n3 refused it, the last of 3");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn servers_that_say_nothing_are_given_a_password_a_few_times_only() {
    let (passwords, _) = passwords(&["a", "a"]);
    for name in ["n1", "n2", "n3"] {
        next(&passwords, name).await.unwrap().unanswered().await;
    }
    let why = text(&passwords, "n4").await;
    assert_eq!(why, "3 servers did not answer to it, it is not tried again");
    // A login that is given up says nothing at all.
    let (passwords, asked) = self::passwords(&["a"]);
    for _ in 0..5 {
        drop(next(&passwords, "n1").await.unwrap());
    }
    assert_eq!((text(&passwords, "n1").await, asked.load(Ordering::SeqCst)), ("a".into(), 1));
}

#[tokio::test]
async fn login_names_and_jump_hosts_have_passwords_of_their_own() {
    let (passwords, asked) = passwords(&["ops", "root", "jump"]);
    assert_eq!(text(&passwords, "n1").await, "ops");
    let root = Settings { user: "root".into(), ..node("n1") };
    assert_eq!(passwords.trial(&root).await.unwrap().secret().expose_secret(), "root");
    let jump = Settings { is_jump: true, ..node("n1") };
    assert_eq!(passwords.trial(&jump).await.unwrap().secret().expose_secret(), "jump");
    assert_eq!(text(&passwords, "n2").await, "ops");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn nobody_there_is_said_and_nobody_is_asked_again() {
    let (passwords, asked) = passwords(&[]);
    for _ in 0..2 {
        assert_eq!(text(&passwords, "n1").await, "none was given");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let alone = Passwords::new(Asking::new(None));
    assert_eq!(text(&alone, "n1").await, "none was given");
}
