use std::io::{self, Write};

use flate2::write::GzDecoder;
use switchboard_model::Record;
use switchboard_registry::{ArchiveReader, NoArchive};
use tar::Header;

use super::{BLOCK, META, STATE, SUMS, padding};

/// Why bytes are no snapshot that can be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoSnapshot {
    Empty,
    Foreign,
    /// It would be so much when it is unpacked.
    TooLarge,
    Broken(String),
}

impl From<NoArchive> for NoSnapshot {
    fn from(why: NoArchive) -> NoSnapshot {
        NoSnapshot::Broken(why.to_string())
    }
}

/// Reads a snapshot that comes piece by piece, wrapped or as a bare archive.
pub(crate) struct Unpacker {
    form: Form,
    most_records: usize,
    most_bytes: u64,
}

enum Form {
    Unknown,
    Bare(Box<ArchiveReader>),
    Wrapped(Box<GzDecoder<Unwrapper>>),
}

impl Unpacker {
    pub(crate) fn new(most_records: usize, most_bytes: u64) -> Unpacker {
        Unpacker { form: Form::Unknown, most_records, most_bytes }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), NoSnapshot> {
        let Some(first) = piece.first() else { return Ok(()) };
        if matches!(self.form, Form::Unknown) {
            let reader = ArchiveReader::new(self.most_records);
            self.form = match first {
                b's' => Form::Bare(Box::new(reader)),
                0x1f => Form::Wrapped(Box::new(GzDecoder::new(Unwrapper::new(reader, self.most_bytes)))),
                _ => return Err(NoSnapshot::Foreign),
            };
        }
        match &mut self.form {
            Form::Unknown => Ok(()),
            Form::Bare(reader) => Ok(reader.push(piece)?),
            Form::Wrapped(gz) => gz.write_all(piece).map_err(|error| said(gz.get_mut(), &error)),
        }
    }

    /// All of it, once all has come.
    pub(crate) fn finish(self) -> Result<Vec<Record>, NoSnapshot> {
        match self.form {
            Form::Unknown => Err(NoSnapshot::Empty),
            Form::Bare(reader) => Ok(reader.finish()?),
            Form::Wrapped(mut gz) => {
                gz.try_finish().map_err(|error| said(gz.get_mut(), &error))?;
                let inside = gz.finish().map_err(|error| NoSnapshot::Broken(error.to_string()))?;
                if !inside.has_state {
                    return Err(NoSnapshot::Broken(format!("there is no {STATE} in it")));
                }
                Ok(inside.reader.finish()?)
            }
        }
    }
}

/// What was wrong inside, or with the wrapping.
fn said(inside: &mut Unwrapper, error: &io::Error) -> NoSnapshot {
    inside.why.take().unwrap_or_else(|| match error.kind() {
        io::ErrorKind::UnexpectedEof => NoArchive::Short.into(),
        io::ErrorKind::WriteZero => NoArchive::Long.into(),
        _ => NoArchive::Damaged(error.to_string()).into(),
    })
}

/// Takes the archive out of the tar.
struct Unwrapper {
    reader: ArchiveReader,
    has_state: bool,
    /// What has come of the next header.
    head: Vec<u8>,
    /// The file that is being read. None: a header is next.
    file: Option<File>,
    /// How much may still come.
    room: u64,
    why: Option<NoSnapshot>,
}

struct File {
    is_state: bool,
    left: u64,
    padding: usize,
}

impl Unwrapper {
    fn new(reader: ArchiveReader, room: u64) -> Unwrapper {
        Unwrapper { reader, has_state: false, head: Vec::with_capacity(BLOCK), file: None, room, why: None }
    }

    /// Takes some of the bytes. Says how many.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, NoSnapshot> {
        let Some(file) = &mut self.file else { return self.header(bytes) };
        if file.left > 0 {
            let taken = usize::try_from(file.left).unwrap_or(usize::MAX).min(bytes.len());
            if file.is_state {
                self.reader.push(bytes.get(..taken).unwrap_or_default())?;
            }
            file.left -= taken as u64;
            return Ok(taken);
        }
        let taken = file.padding.min(bytes.len());
        file.padding -= taken;
        if file.padding == 0 {
            self.file = None;
        }
        Ok(taken)
    }

    fn header(&mut self, bytes: &[u8]) -> Result<usize, NoSnapshot> {
        let taken = (BLOCK - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.head.len() < BLOCK {
            return Ok(taken);
        }
        let head = std::mem::take(&mut self.head);
        if head.iter().all(|byte| *byte == 0) {
            return Ok(taken);
        }
        let damaged = |why: String| NoSnapshot::from(NoArchive::Damaged(why));
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&head);
        let (found, told) = (checksum(&head), header.cksum().map_err(|error| damaged(error.to_string()))?);
        if found != told {
            return Err(damaged("a header is not what was written".to_owned()));
        }
        let name = header.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        if ![META, STATE, SUMS].contains(&&*name) {
            return Err(damaged(format!("unexpected file {name:?}")));
        }
        let is_state = name == STATE;
        if is_state && std::mem::replace(&mut self.has_state, true) {
            return Err(damaged(format!("{STATE} comes twice")));
        }
        let left = header.size().map_err(|error| damaged(error.to_string()))?;
        let padding = padding(left);
        self.file = (left > 0).then_some(File { is_state, left, padding });
        Ok(taken)
    }
}

/// The sum of all bytes of a header, with blanks where the sum itself stands.
fn checksum(head: &[u8]) -> u32 {
    let of = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) };
    head.iter().enumerate().map(of).sum()
}

impl Write for Unwrapper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.room.checked_sub(rest.len() as u64) {
                Some(_) => self.take(rest),
                None => Err(NoSnapshot::TooLarge),
            };
            match taken {
                Ok(taken) => {
                    self.room -= taken as u64;
                    rest = rest.get(taken..).unwrap_or_default();
                }
                Err(why) => {
                    self.why = Some(why);
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
