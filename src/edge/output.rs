//! Where results go: standard output, or a file that is there whole or not at all.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Fault;

/// Writes to standard output. A reader that has seen enough (`| head`) is no fault.
pub(super) fn to_stdout(bytes: &[u8]) -> Result<(), Fault> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Fault::failed(format!("cannot write the result: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Replaces `path` by `bytes`: written beside it, synced, renamed. A reader, or a crash at any
/// moment, sees the old file or the new.
pub(super) fn to_file(path: &Path, bytes: &[u8], may_replace: bool) -> Result<(), Fault> {
    let fault =
        |error: std::io::Error| Fault::failed(format!("cannot write {}: {error}", path.display()));
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        // A device, a pipe: it is written to and never replaced. A folder refuses.
        let mut open = std::fs::OpenOptions::new().write(true).open(path).map_err(fault)?;
        return open.write_all(bytes).map_err(fault);
    }
    // A link is followed, so that what it points to is replaced and not the link.
    let path = &match std::fs::symlink_metadata(path) {
        Ok(_) => std::fs::canonicalize(path).map_err(fault)?,
        Err(_) => path.to_owned(),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        // A textfile collector must not take a half-written file for a result: it reads *.prom.
        .prefix(".ringhaul-")
        .suffix(".tmp")
        // 0644: results are read by other accounts, such as the collector's.
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(fault)?;
    file.write_all(bytes).map_err(fault)?;
    file.as_file().sync_all().map_err(fault)?;
    if may_replace {
        file.persist(path).map_err(|error| fault(error.error))?;
    } else {
        file.persist_noclobber(path).map_err(|error| {
            let fault = fault(error.error);
            if path.exists() { fault.hint("--force replaces it") } else { fault }
        })?;
    }
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)
}
