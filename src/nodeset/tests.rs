//! Ranges against what ClusterShell 1.9's `nodeset` says, and folding against unfolding.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn wrong(text: &str) -> String {
    expand(text).unwrap_err().to_string()
}

#[test]
fn ranges_unfold_in_the_order_written_and_keep_their_zeros() {
    for (text, names) in [
        ("cass-1", "cass-1"),
        ("cass-[01-03]", "cass-01 cass-02 cass-03"),
        ("a[09-11]b", "a09b a10b a11b"),
        ("a[0-1]b[1-2]", "a0b1 a0b2 a1b1 a1b2"),
        ("a[20-26/2,01,15]", "a20 a22 a24 a26 a01 a15"),
        ("a[01-02,1]", "a01 a02 a1"),
        ("a[00-02]", "a00 a01 a02"),
        ("a[5-5]", "a5"),
        ("fd77::[11-13]", "fd77::11 fd77::12 fd77::13"),
        ("fd77::11", "fd77::11"),
        ("[fd77::11]", "[fd77::11]"),
        ("größe-[1-2]", "größe-1 größe-2"),
        ("", ""),
    ] {
        assert_eq!(expand(text).unwrap().join(" "), names, "{text}");
    }
}

#[test]
fn a_range_that_cannot_be_read_says_what_was_expected() {
    let said: Vec<String> = [
        "a[5-3]",
        "a[]",
        "a[1,]",
        "a[1-3",
        "a1-3]",
        "a[1-[2]]",
        "a[x-y]",
        "a[1-]",
        "a[-3]",
        "a[1-2-3]",
        "a[01-100]",
        "a[1-01]",
        "a[5/2]",
        "a[1-3/0]",
        "a[1-99999999999999999999]",
        "a[1-70000]",
        "a[1-300]b[1-300]",
        "ä[1-3][b]",
    ]
    .iter()
    .map(|text| {
        let error = expand(text).unwrap_err();
        format!("{}: {error}", error.at)
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    2: '5-3' runs backwards in 'a[5-3]', expected a range such as [01-12,15,20-30/2]
    2: empty range in 'a[]', expected a range such as [01-12,15,20-30/2]
    4: empty range in 'a[1,]', expected a range such as [01-12,15,20-30/2]
    1: '[' without ']' in 'a[1-3', expected a range such as [01-12,15,20-30/2]
    4: ']' without '[' in 'a1-3]', expected a range such as [01-12,15,20-30/2]
    4: '[' inside of a range in 'a[1-[2]]', expected a range such as [01-12,15,20-30/2]
    2: 'x-y' is no range of numbers in 'a[x-y]', expected a range such as [01-12,15,20-30/2]
    2: '1-' is no range of numbers in 'a[1-]', expected a range such as [01-12,15,20-30/2]
    2: '-3' is no range of numbers in 'a[-3]', expected a range such as [01-12,15,20-30/2]
    2: '1-2-3' is no range of numbers in 'a[1-2-3]', expected a range such as [01-12,15,20-30/2]
    2: '01-100' pads its two numbers differently in 'a[01-100]', expected a range such as [01-12,15,20-30/2]
    2: '1-01' pads its two numbers differently in 'a[1-01]', expected a range such as [01-12,15,20-30/2]
    2: '5/2' has a step that leads nowhere in 'a[5/2]', expected a range such as [01-12,15,20-30/2]
    2: '1-3/0' has a step that leads nowhere in 'a[1-3/0]', expected a range such as [01-12,15,20-30/2]
    2: '1-99999999999999999999' is no range of numbers in 'a[1-99999999999999999999]', expected a range such as [01-12,15,20-30/2]
    0: too many names in 'a[1-70000]', expected at most 65,536 names
    0: too many names in 'a[1-300]b[1-300]', expected at most 65,536 names
    7: 'b' is no range of numbers in 'ä[1-3][b]', expected a range such as [01-12,15,20-30/2]
    ");
}

#[test]
fn the_limit_is_a_limit_on_names_not_on_numbers() {
    assert_eq!(expand("a[1-65536]").unwrap().len(), MAX_NAMES);
    assert_eq!(
        wrong("a[0-65536]"),
        "too many names in 'a[0-65536]', expected at most 65,536 names"
    );
    assert_eq!(expand("a[1000000-1000001]").unwrap(), ["a1000000", "a1000001"]);
}

#[test]
fn names_fold_to_what_an_operator_would_write() {
    for (names, text) in [
        (
            "cass-01.dc1 cass-02.dc1 db-1 cass-03.dc1 cass-07.dc1 db-2",
            "cass-[01-03,07].dc1, db-[1-2]",
        ),
        ("10.77.0.11 10.77.0.13 10.77.0.12 10.77.1.11", "10.77.0.[11-13], 10.77.1.11"),
        ("fd77::11 fd77::12", "fd77::[11-12]"),
        ("a1 a01 a2 a02", "a[1-2,01-02]"),
        ("a99 a100 a98", "a[98-100]"),
        ("a099 a100 a098 a1000", "a[098-100,1000]"),
        ("a09 a10 a100", "a[09-10,100]"),
        ("a0 a00 a1", "a[0-1,00]"),
        ("cass-01.dc1 cass-02.dc1 cass-01.dc2", "cass-[01-02].dc1, cass-01.dc2"),
        ("r1-n1 r1-n2 r2-n1 r2-n2", "r[1-2]-n[1-2]"),
        ("one one two", "one, two"),
        (
            "a123456789012345678901 a123456789012345678902",
            "a123456789012345678901, a123456789012345678902",
        ),
        ("x[1 x[2", "x[1, x[2"),
        ("", ""),
    ] {
        let names: Vec<&str> = names.split(' ').filter(|name| !name.is_empty()).collect();
        assert_eq!(fold(&names), text);
    }
}

#[test]
fn a_list_splits_outside_of_brackets_only() {
    assert_eq!(expand_list("a[1,3], b").unwrap(), ["a1", "a3", "b"]);
    assert_eq!(split_list("{a,b},[c,d],e").collect::<Vec<_>>(), ["{a,b}", "[c,d]", "e"]);
    assert!(expand_list("a,,b").is_err());
}

#[test]
fn among_globs_only_digits_make_a_range() {
    for (text, names) in [
        ("cass-[01-02]*", "cass-01* cass-02*"),
        ("cass-[a-c]", "cass-[a-c]"),
        ("cass-[!0-9]", "cass-[!0-9]"),
        ("cass-[1-2][xy", "cass-1[xy cass-2[xy"),
    ] {
        assert_eq!(expand_among_globs(text).unwrap().join(" "), names, "{text}");
    }
}

proptest! {
    #[test]
    fn unfolding_a_fold_gives_the_same_names(
        names in prop::collection::vec("[ab]{1,2}-?[0-9]{1,3}(\\.dc[0-2])?|10\\.0\\.[0-2]\\.[0-9]{1,2}|[a-c.é]{1,3}", 1..60)
    ) {
        let given: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = fold(&given);
        let back = expand_list(&text).unwrap();
        prop_assert_eq!(back.len(), given.iter().collect::<BTreeSet<_>>().len());
        let back: BTreeSet<&str> = back.iter().map(String::as_str).collect();
        prop_assert_eq!(back, given.into_iter().collect::<BTreeSet<_>>());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ab\\[\\]0-9,/:é-]{0,24}") {
        let _ = expand(&text);
        let _ = expand_among_globs(&text);
        let _ = expand_list(&text);
    }
}
