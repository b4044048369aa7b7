//! Lines, compressed: one frame or member after another, each of whole lines and each readable without the others.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use crate::segment::Packing;

/// A frame ends with the first line that ends behind so many bytes. It costs little there: zstd looks back 2 MiB at level 3
/// and gzip 32 KiB, so less than the beginning of each frame is dearer. And it is short enough to be read for one line in it:
/// 10 ms for zstd, 30 ms for gzip.
const FRAME: usize = 8 << 20;

/// zstd's own default: it compresses these messages to a twelfth at 300 MB/s and more, and the next levels gain a few percent at
/// half the speed.
const ZSTD_LEVEL: i32 = 3;

/// gzip's own default.
const GZIP_LEVEL: u32 = 6;

/// Compresses what is written to it.
pub(super) struct Frames<W: Write> {
    packing: Packing,
    encoder: Encoder<W>,
    /// Bytes in the frame so far.
    length: usize,
}

enum Encoder<W: Write> {
    /// No frame has begun.
    Between(W),
    Zstd(zstd::Encoder<'static, W>),
    Gzip(GzEncoder<W>),
    /// It failed, and is not used again.
    Broken,
}

impl<W: Write> Frames<W> {
    pub fn new(packing: Packing, out: W) -> Self {
        Self { packing, encoder: Encoder::Between(out), length: 0 }
    }

    /// Compresses the bytes that follow.
    ///
    /// # Errors
    /// As what it writes to says; it is of no use any more then.
    pub fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let before_its_end = FRAME.saturating_sub(self.length + 1).min(bytes.len());
            let end = memchr::memchr(b'\n', &bytes[before_its_end..]).map(|at| before_its_end + at + 1);
            let (frame, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.append(frame)?;
            self.length += frame.len();
            if end.is_some() {
                self.end()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Ends the last frame.
    ///
    /// # Errors
    /// As what it writes to says.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        match self.encoder {
            Encoder::Between(out) => Ok(out),
            _ => Err(io::Error::other("the compression broke off")),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.encoder = match std::mem::replace(&mut self.encoder, Encoder::Broken) {
            Encoder::Between(out) if self.packing == Packing::Gzip => {
                Encoder::Gzip(GzEncoder::new(out, Compression::new(GZIP_LEVEL)))
            }
            Encoder::Between(out) => {
                let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
            encoder => encoder,
        };
        match &mut self.encoder {
            Encoder::Zstd(encoder) => encoder.write_all(bytes),
            Encoder::Gzip(encoder) => encoder.write_all(bytes),
            Encoder::Between(_) | Encoder::Broken => Err(io::Error::other("the compression broke off")),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.length = 0;
        self.encoder = match std::mem::replace(&mut self.encoder, Encoder::Broken) {
            Encoder::Zstd(encoder) => Encoder::Between(encoder.finish()?),
            Encoder::Gzip(encoder) => Encoder::Between(encoder.finish()?),
            encoder => encoder,
        };
        Ok(())
    }
}

/// Reads what is compressed so, as the lines that it was.
///
/// # Errors
/// When there is no memory for it.
pub(super) fn reader(packing: Packing, file: File) -> io::Result<Box<dyn Read>> {
    Ok(match packing {
        Packing::None => Box::new(file),
        Packing::Zstd => Box::new(zstd::Decoder::new(file)?),
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, file))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_is_whole_lines_by_itself() {
        let line = [&vec![b'x'; 999_999][..], b"\n"].concat();
        let text = line.repeat(20);
        for packing in [Packing::Zstd, Packing::Gzip] {
            let mut frames = Frames::new(packing, Vec::new());
            text.chunks(70_001).for_each(|piece| frames.take(piece).expect("memory"));
            let packed = frames.finish().expect("memory");
            let mut rest = &packed[..];
            let mut lengths = Vec::new();
            while !rest.is_empty() {
                let mut frame = Vec::new();
                match packing {
                    Packing::Gzip => {
                        let read = flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut frame);
                        read.expect("a member");
                    }
                    _ => {
                        let read = zstd::Decoder::with_buffer(&mut rest)
                            .expect("memory")
                            .single_frame()
                            .read_to_end(&mut frame);
                        read.expect("a frame");
                    }
                }
                assert_eq!(frame.len() % line.len(), 0);
                lengths.push(frame.len() / line.len());
            }
            assert_eq!(lengths, [9, 9, 2], "{packing:?}");
        }
    }

    #[test]
    fn nothing_is_no_frame_and_a_torn_end_is_kept() {
        for packing in [Packing::Zstd, Packing::Gzip] {
            assert!(Frames::new(packing, Vec::new()).finish().expect("memory").is_empty());
            let mut file = tempfile::tempfile().expect("a file");
            let mut frames = Frames::new(packing, &mut file);
            frames.take(b"{}\n{\"a").expect("a file");
            frames.finish().expect("a file");
            io::Seek::rewind(&mut file).expect("a file");
            let mut text = String::new();
            reader(packing, file).expect("memory").read_to_string(&mut text).expect("what was written");
            assert_eq!(text, "{}\n{\"a");
        }
    }
}
