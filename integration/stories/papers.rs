//! What the papers promise is there: the README's commands are the scripts of this project.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::lab::project;

#[test]
fn the_first_two_commands_of_the_readme_are_scripts_that_can_be_run() {
    let readme = fs::read_to_string(project().join("README.md")).expect("there is a README.md");
    let lines = readme.split("```").skip(1).step_by(2).flat_map(str::lines);
    let words = lines.filter_map(|line| line.trim().trim_start_matches("$ ").split(' ').next());
    let scripts: Vec<&str> = words
        .map(|word| word.trim_start_matches("./"))
        .filter(|word| word.starts_with("integration/"))
        .collect();
    assert_eq!(scripts.get(..2), Some(&["integration/try", "integration/test"][..]), "{scripts:?}");
    for script in ["integration/try", "integration/test", ".ci/run"] {
        let mode = fs::metadata(project().join(script)).expect(script).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
    }
}
