use super::*;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";
const E: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHmF\
    6XuoWtvQOcCmsiJLLs/pmNgYsPLnpRnyoSA5gTdPeNyrBnLBvHpLPrmvTVZDLCXSs1vZsbhPfG0aQ7ll2nI=";

fn key(text: &str) -> KeyData {
    PublicKey::from_openssh(text).unwrap().key_data().clone()
}

fn ask(file: &str, names: &Names, shown: &str) -> Verdict {
    find(parse(file, Path::new("kh")).iter(), names).verdict(&key(shown))
}

fn at(line: usize) -> Place {
    Place { file: Arc::new("kh".into()), number: Some(line) }
}

fn node1() -> Names {
    Names::of("Node1", 22)
}

#[test]
fn plain_lines_with_blanks_tabs_crlf_and_capitals_match() {
    for line in [
        format!("node1 {A}"),
        format!("  node1\t{} comment # more\r\n", A.replace(' ', "\t")),
        format!("x,NODE1,10.0.0.1 {A} c\r\n"),
        format!("node? {A}"),
        format!("*,!node2 {A}"),
    ] {
        assert_eq!(ask(&line, &node1(), A), Verdict::Known, "{line}");
    }
    for line in [
        format!("#node1 {A}"),
        format!("node11 {A}"),
        format!("*,!node1 {A}"),
        format!("@cert-authority node1 {A}"),
        format!("@other node1 {A}"),
        format!("[node1]:22 {A}"),
        "node1 ssh-ed25519 AAAA".to_owned(),
        "node1".to_owned(),
        format!("|1|bad {A}"),
        String::new(),
    ] {
        assert_eq!(ask(&line, &node1(), A), Verdict::Unknown, "{line}");
    }
}

#[test]
fn a_bad_line_does_not_hide_the_good_one_behind_it() {
    let file = format!("node1 ssh-ed25519 !!!\n\u{fffd}\nnode1 1024 35 1234567\nnode1 {A}\n");
    assert_eq!(ask(&file, &node1(), A), Verdict::Known);
}

#[test]
fn another_key_of_the_type_is_a_change_and_another_type_is_said() {
    assert_eq!(ask(&format!("\nnode1 {B}"), &node1(), A), Verdict::Changed(at(2)));
    let other = Verdict::OtherType(at(1), key(E).algorithm());
    assert_eq!(ask(&format!("node1 {E}"), &node1(), A), other);
    // The line of the same type says more.
    assert_eq!(ask(&format!("node1 {E}\nnode1 {B}"), &node1(), A), Verdict::Changed(at(2)));
}

#[test]
fn old_and_new_key_of_a_type_are_both_good() {
    let file = format!("node1 {A}\nnode1 {B}\n");
    assert_eq!(ask(&file, &node1(), A), Verdict::Known);
    assert_eq!(ask(&file, &node1(), B), Verdict::Known);
}

#[test]
fn a_revoked_key_is_refused_wherever_it_stands() {
    for file in [
        format!("node1 {A}\n@revoked * {A}\n"),
        format!("node1 {B}\n@revoked node1 {A}\n"),
        format!("node1 {E}\n@revoked node1 {A}\nnode1 {A}"),
    ] {
        assert_eq!(ask(&file, &node1(), A), Verdict::Revoked(at(2)), "{file}");
    }
    // Somebody else's, or another key.
    assert_eq!(ask(&format!("node1 {A}\n@revoked node2 {A}"), &node1(), A), Verdict::Known);
    assert_eq!(ask(&format!("node1 {A}\n@revoked * {B}"), &node1(), A), Verdict::Known);
    assert_eq!(ask(&format!("@revoked * {B}"), &node1(), A), Verdict::Unknown);
}

#[test]
fn a_port_has_its_own_lines_and_falls_back_to_the_host() {
    let names = Names::of("node1", 2222);
    assert_eq!(ask(&format!("[node1]:2222 {A}"), &names, A), Verdict::Known);
    assert_eq!(ask(&format!("[node1]:2222 {B}\nnode1 {A}"), &names, A), Verdict::Changed(at(1)));
    assert_eq!(ask(&format!("node1 {A}"), &names, A), Verdict::Known);
    assert_eq!(ask(&format!("node1 {B}"), &names, A), Verdict::Unknown);
    assert_eq!(ask(&format!("@revoked node1 {A}"), &names, A), Verdict::Revoked(at(1)));
    assert_eq!(ask(&format!("[node1]:2222 {A}"), &node1(), A), Verdict::Unknown);
}

#[test]
fn an_authority_is_found_by_every_name_of_the_host_and_is_no_host_key() {
    let found = |file: &str, names: &Names| find(parse(file, Path::new("kh")).iter(), names);
    let at_port = Names::of("node1", 2222);
    for (line, names) in [
        (format!("@cert-authority node1 {A}"), node1()),
        (format!("@cert-authority\t*,!node2 {A} comment"), node1()),
        (format!("@cert-authority node1 {A}"), at_port.clone()),
        (format!("@cert-authority node1 {A}\n[node1]:2222 {B}"), at_port.clone()),
        (format!("@cert-authority [node1]:2222 {A}"), at_port.clone()),
        (format!("@cert-authority [::1]:2200 {A}"), Names::of("::1", 2200)),
        (format!("@cert-authority the-alias {A}"), Names::alias("The-Alias")),
        (format!("@cert-authority {}", line("node1", &key(A), Some([3; 20])).unwrap()), node1()),
    ] {
        let found = found(&line, &names);
        assert!(found.has_authority() && found.is_authority(&key(A)), "{line}");
        assert!(!found.is_authority(&key(B)) && found.any_authority().is_some(), "{line}");
        assert_ne!(found.verdict(&key(A)), Verdict::Known, "{line}");
    }
    for line in [format!("@cert-authority node2 {A}"), format!("node1 {A}"), String::new()] {
        assert!(!found(&line, &node1()).is_authority(&key(A)), "{line}");
    }
    // A key on file under the host's own name keeps its verdict.
    let both = format!("[node1]:2222 {B}\n@cert-authority node1 {A}");
    assert_eq!(found(&both, &at_port).verdict(&key(B)), Verdict::Known);
    // One that is revoked may be an authority's: the host has to show its certificate.
    let revoked = found(&format!("@revoked * {A}"), &node1());
    assert!(revoked.has_authority() && revoked.revoked(&key(A)) == Some(at(1)));
}

#[test]
fn types_on_file_are_those_of_the_host() {
    let entries = parse(&format!("node1 {E}\nnode2 {A}\n@revoked node1 {A}\n"), Path::new("kh"));
    assert_eq!(find(entries.iter(), &node1()).types(), [key(E).algorithm()]);
    assert_eq!(find(entries.iter(), &Names::of("node1", 2222)).types(), [key(E).algorithm()]);
    assert_eq!(find(entries.iter(), &Names::of("node3", 22)).types(), []);
}

#[test]
fn a_written_line_is_read_back_plain_and_hashed() {
    for names in [node1(), Names::of("node1", 2222), Names::of("::1", 2200)] {
        for salt in [None, Some([7; 20])] {
            let line = line(&names.own, &key(A), salt).unwrap();
            assert_eq!(line.starts_with("|1|"), salt.is_some());
            assert_eq!(ask(&line, &names, A), Verdict::Known, "{line}");
            assert_eq!(ask(&line, &Names::of("node2", 22), A), Verdict::Unknown);
        }
    }
}

/// `ssh-keygen` is the judge of what a line means: it hashes a file and finds hosts in it.
#[test]
fn files_hashed_by_ssh_keygen_are_read_and_ours_are_found_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    let keygen = |args: &[&str]| {
        let mut command = std::process::Command::new("ssh-keygen");
        command.args(args).arg("-f").arg(&file).output().expect("apt-get install openssh-client")
    };
    std::fs::write(&file, format!("node1 {A}\n[node2]:2222 {B}\n")).unwrap();
    assert!(keygen(&["-H"]).status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("|1|") && !text.contains("node"));
    assert_eq!(ask(&text, &node1(), A), Verdict::Known);
    assert_eq!(ask(&text, &node1(), B), Verdict::Changed(at(1)));
    let node2 = Names::of("node2", 2222);
    assert_eq!(ask(&text, &node2, B), Verdict::Known);

    std::fs::write(&file, line(&node2.own, &key(A), Some([9; 20])).unwrap()).unwrap();
    let found = keygen(&["-F", "[node2]:2222"]);
    assert!(String::from_utf8_lossy(&found.stdout).contains("found: line 1"), "{found:?}");
}
