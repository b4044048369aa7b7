//! The bytes of a file, whatever it is packed in: told by its first bytes, not by its name.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read},
    path::Path,
};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// What a decoder reads at once: zstd's own is 128 KiB, and gzip's gains nothing from more.
const PACKED: usize = 128 * 1024;

/// Opens a file; "-" is standard input.
///
/// # Errors
/// When it can not be opened, or its first bytes can not be read.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") { unpacked(io::stdin().lock()) } else { unpacked(File::open(path)?) }
}

/// One frame after another, one member after another: however many there are.
///
/// # Errors
/// When the first bytes can not be read.
pub fn unpacked(mut from: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut first = Vec::new();
    from.by_ref().take(ZSTD.len() as u64).read_to_end(&mut first)?;
    let (is_gzip, is_zstd) = (first.starts_with(GZIP), first.starts_with(ZSTD));
    let all = Cursor::new(first).chain(from);
    Ok(if is_gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(PACKED, all)))
    } else if is_zstd {
        Box::new(zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(PACKED, all))?)
    } else {
        Box::new(all)
    })
}

/// Whether it is the disk that failed, and not what was packed that is cut off or spoilt.
#[must_use]
pub fn is_of_the_disk(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}
