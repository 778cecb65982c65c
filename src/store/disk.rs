//! How a store's files become durable: a whole file system at once where it is known to tell of
//! every error, else file by file, by the very descriptors that wrote them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use super::durable::SIDE_BY_SIDE;
use super::error::StoreError;

/// File systems of which it is known that `syncfs` writes everything and tells of errors. Others,
/// such as those of user space, may not pass it on.
const SYNCS_WHOLE: [u64; 6] = [
    0xef53,      // ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0xf2f5_2010, // F2FS
    0x2fc1_2fc1, // ZFS
    0x0102_1994, // tmpfs
];

/// Linux before it keeps what went wrong with a file to itself when all is synced.
const TELLS_SINCE: (u32, u32) = (5, 8);

/// How the files of a writer are made durable.
#[derive(Debug)]
pub(super) enum Disk {
    /// All at once, through the staging's folder: opened before anything is written, as `syncfs`
    /// tells of what went wrong since then.
    Whole(File),
    /// Each by itself: some servers tell of a write that failed only to the descriptor that wrote.
    Singly(Closers),
}

/// Threads that make files durable and close them.
#[derive(Debug, Clone)]
pub(super) struct Closers(SyncSender<Closing>);

/// A file that was written, and who wants to hear what the disk says.
#[derive(Debug)]
struct Closing {
    file: File,
    said: SyncSender<io::Result<()>>,
}

/// What the disk will have said about a file.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) path: PathBuf,
    said: Receiver<io::Result<()>>,
}

impl Disk {
    /// Looks where the staging and the `folders` lie into which sets and manifests go.
    pub(super) fn of(staging: &Path, folders: &[PathBuf]) -> Result<Self, StoreError> {
        let opened = File::open(staging).map_err(StoreError::at(staging))?;
        let device = opened.metadata().map_err(StoreError::at(staging))?.dev();
        let is_one = folders.iter().all(|dir| match fs::metadata(dir) {
            Ok(metadata) => metadata.dev() == device,
            // It is made later, in one of the others.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        });
        let uname = rustix::system::uname();
        if is_one && syncs_whole(&opened) && tells(&uname.release().to_string_lossy()) {
            return Ok(Self::Whole(opened));
        }
        Self::singly().map_err(StoreError::at(staging))
    }

    pub(super) fn singly() -> io::Result<Self> {
        Closers::start().map(Self::Singly)
    }

    /// Those who close what was written, where that matters.
    pub(super) fn closers(&self) -> Option<Closers> {
        match self {
            Self::Whole(_) => None,
            Self::Singly(closers) => Some(closers.clone()),
        }
    }
}

impl Closers {
    /// They end when nobody can give them a file any more.
    fn start() -> io::Result<Self> {
        // Each that waits is an open file.
        let (files, waiting) = mpsc::sync_channel(SIDE_BY_SIDE);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..SIDE_BY_SIDE {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().spawn(move || work(&waiting))?;
        }
        Ok(Self(files))
    }

    /// Hands a file over; waits when all have enough.
    pub(super) fn close(&self, path: PathBuf, file: File) -> Said {
        let (said, hears) = mpsc::sync_channel(1);
        // When nobody takes it, nobody says anything, and that is an error there.
        let _ = self.0.send(Closing { file, said });
        Said { path, said: hears }
    }
}

fn work(waiting: &Mutex<Receiver<Closing>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Closing { file, said }) = next else { return };
        // Nobody listens any more when its set is not wanted.
        let _ = said.send(file.sync_all());
    }
}

impl Said {
    /// Waits until the file is durable.
    pub(super) fn wait(&self) -> Result<(), StoreError> {
        let said = self.said.recv();
        let said = said.unwrap_or_else(|_| Err(io::Error::other("nobody said that it is written")));
        said.map_err(StoreError::at(&self.path))
    }
}

fn syncs_whole(dir: &File) -> bool {
    // The type's sign and width differ between machines; its low 32 bits are the number.
    rustix::fs::fstatfs(dir.as_fd()).is_ok_and(|stat| {
        let kind = (stat.f_type as u64) & 0xffff_ffff;
        SYNCS_WHOLE.contains(&kind)
    })
}

/// Whether a kernel of this release tells of errors when all is synced; one that cannot be read
/// does not.
fn tells(release: &str) -> bool {
    let mut numbers = release.splitn(3, '.').map(|word| {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        word[..digits].parse::<u32>().ok()
    });
    let major = numbers.next().flatten();
    let minor = numbers.next().flatten();
    major.zip(minor).is_some_and(|release| release >= TELLS_SINCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_synced_at_once_only_by_a_kernel_that_tells_of_errors() {
        for new in ["5.8.0", "5.8-rc1", "5.10.0-9-amd64", "6.18.44-fc", "10.0.1", "5.15+"] {
            assert!(tells(new), "{new}");
        }
        for old in ["5.7.19", "4.18.0-553.el8", "3.10.0", "", "5", "5.", "six.one", "5.x8", "é.9"]
        {
            assert!(!tells(old), "{old}");
        }
    }

    #[test]
    fn a_folder_elsewhere_makes_it_file_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_owned();
        let of = |others: &[PathBuf]| Disk::of(&here, others).unwrap().closers().is_none();
        assert_eq!(of(&[]), of(&[here.clone(), here.join("not yet")]));
        assert!(!of(&["/proc".into()]));
    }

    #[test]
    fn a_file_is_durable_when_that_was_said_and_an_error_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let closers = Closers::start().unwrap();
        let path = folder.path().join("x");
        let said: Vec<Said> =
            (0..50).map(|_| closers.close(path.clone(), File::create(&path).unwrap())).collect();
        assert!(said.iter().all(|said| said.wait().is_ok()));
        // A pipe cannot be made durable.
        let (_reader, writer) = std::io::pipe().unwrap();
        let refused = closers.close(path, File::from(std::os::fd::OwnedFd::from(writer)));
        assert!(matches!(refused.wait(), Err(StoreError::Io { .. })));
    }
}
