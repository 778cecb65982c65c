//! The stream of a node's `tar`, block by block: headers, long names, content. Nothing in it is
//! believed, and nothing is unpacked.

use std::io::{self, BufReader, Read};

use tar::{EntryType, Header};

/// Headers and small files are read out of memory.
const BUFFER: usize = 256 * 1024;

const BLOCK: usize = 512;

/// Linux takes no longer path (`PATH_MAX`), and tar ends it with a NUL.
const LONGEST_NAME: u64 = 4097;

/// tar fills its last record up with zeros; records are some 10 KiB unless the node's tar is told
/// otherwise.
const MOST_FILLING: u64 = 1 << 20;

/// A stream, and where in it the reader stands.
pub(super) struct Tape<R> {
    reader: BufReader<R>,
    /// Bytes of the entry that were not read yet.
    left: u64,
    /// And those that fill up its last block.
    padding: u64,
    /// Bytes that may still come.
    budget: u64,
}

/// An entry's header.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: EntryType,
    pub(super) size: u64,
    /// In seconds since 1970.
    pub(super) modified: Option<u64>,
}

/// Why nothing more is read.
#[derive(Debug)]
pub(super) enum Stop {
    /// The stream came to its end.
    End,
    /// It broke off.
    Cut,
    /// It holds what no honest tar sends.
    Hostile(String),
    /// The line said no.
    Read(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Cut } else { Self::Read(error) }
    }
}

fn hostile(text: impl Into<String>) -> Stop {
    Stop::Hostile(text.into())
}

impl<R: Read> Tape<R> {
    /// Takes a stream in which no more than `budget` bytes of content may come.
    pub(super) fn new(reader: R, budget: u64) -> Self {
        let reader = BufReader::with_capacity(BUFFER, reader);
        Self { reader, left: 0, padding: 0, budget }
    }

    /// Returns the next entry; what is left of the one before is passed over.
    pub(super) fn next(&mut self) -> Result<Entry, Stop> {
        let header = self.header()?;
        if !header.entry_type().is_gnu_longname() {
            let name = header.path_bytes().into_owned();
            return self.entry(&header, name);
        }
        let size = size(&header)?;
        if size > LONGEST_NAME {
            return Err(hostile("a name longer than any path"));
        }
        self.open(size);
        let mut name = vec![0; usize::try_from(size).unwrap_or_default()];
        self.fill(&mut name)?;
        while name.last() == Some(&0) {
            name.pop();
        }
        let header = self.header()?;
        if header.entry_type().is_gnu_longname() {
            return Err(hostile("two names of one file"));
        }
        self.entry(&header, name)
    }

    fn entry(&mut self, header: &Header, name: Vec<u8>) -> Result<Entry, Stop> {
        let size = size(header)?;
        self.budget = self
            .budget
            .checked_sub(size)
            .ok_or_else(|| hostile("more bytes come than were listed"))?;
        self.open(size);
        Ok(Entry { name, kind: header.entry_type(), size, modified: header.mtime().ok() })
    }

    fn open(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    fn header(&mut self) -> Result<Header, Stop> {
        self.skip(&mut |_| {})?;
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        self.reader.read_exact(block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Err(self.rest());
        }
        // The sum is taken with blanks in its own place.
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let sum = sum(&block[..148]) + sum(&block[156..]) + 8 * u32::from(b' ');
        if header.cksum().is_ok_and(|told| told == sum) {
            Ok(header)
        } else {
            Err(hostile("a header with a wrong checksum"))
        }
    }

    /// Reads what fills up the stream after its end, so that the one who sends comes to his.
    fn rest(&mut self) -> Stop {
        let mut piece = [0; BLOCK];
        let mut read = 0;
        while read < MOST_FILLING {
            match self.reader.read(&mut piece) {
                Ok(0) => return Stop::End,
                Ok(count) if piece[..count].iter().all(|byte| *byte == 0) => read += count as u64,
                Ok(_) => return hostile("something comes after the end"),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Stop::Read(error),
            }
        }
        hostile("no end after the end")
    }

    /// Fills `piece` with the entry's next bytes.
    pub(super) fn fill(&mut self, piece: &mut [u8]) -> Result<(), Stop> {
        self.reader.read_exact(piece)?;
        self.left = self.left.saturating_sub(piece.len() as u64);
        Ok(())
    }

    /// Passes over what is left of the entry.
    pub(super) fn skip(&mut self, on_bytes: &mut dyn FnMut(u64)) -> Result<(), Stop> {
        while self.left + self.padding > 0 {
            let wanted = (self.left + self.padding).min(BUFFER as u64);
            let passed = io::copy(&mut self.reader.by_ref().take(wanted), &mut io::sink())?;
            if passed < wanted {
                return Err(Stop::Cut);
            }
            let of_content = self.left.min(passed);
            self.left -= of_content;
            self.padding -= passed - of_content;
            on_bytes(of_content);
        }
        Ok(())
    }
}

fn size(header: &Header) -> Result<u64, Stop> {
    // Beyond, the blocks that it fills could not be counted; the budget is far below.
    let size = header.entry_size().ok().filter(|size| *size < 1 << 62);
    size.ok_or_else(|| hostile("a size that is no number"))
}
