//! Compressed files, by their first bytes: members and frames one after another, and what is cut off.

use std::{fs, io::Write};

use tickerd::{
    audit::{Options, Verdict, Weight, gather},
    record::Form,
    segment::State,
};

use super::tape::{Tape, audit, kinds};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

#[test]
fn a_sealed_segment_is_right_however_it_is_packed_and_torn_where_it_is_cut() {
    for (pack, suffix) in [(gzip as fn(&[u8]) -> Vec<u8>, "gz"), (zstd, "zst")] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tape = Tape::new(Form::Envelope);
        tape.connection(1, 300);
        let plain = tape.seal(folder.path(), State::Sealed);
        let bytes = fs::read(&plain).expect("there");
        let packed = bytes.chunks(10_000).map(pack).collect::<Vec<_>>().concat();
        fs::remove_file(&plain).expect("ours");
        let path = format!("{}.{suffix}", plain.display());
        fs::write(&path, &packed).expect("ours");
        let report = audit(folder.path());
        assert_eq!((report.verdict, report.seals.right, report.bytes), (Verdict::Whole, 1, bytes.len() as u64));

        for cut in [packed.len() - 1, packed.len() / 2, 30] {
            fs::write(&path, &packed[..cut]).expect("ours");
            let report = audit(folder.path());
            let faults = kinds(&report, Weight::Fault);
            // Where only the checksum at the end is cut off, all of the bytes are there.
            let is_short = report.bytes < bytes.len() as u64;
            assert!(faults.contains(&"packed".to_owned()), "{suffix} {cut}: {faults:?}");
            assert_eq!(faults.contains(&"seal".to_owned()), is_short, "{suffix} {cut}: {faults:?}");
        }
    }
}

/// A nightly audit of a folder that is recorded into took each rotation and each compression for a hole.
#[test]
fn a_folder_may_be_recorded_into_while_it_is_audited() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..100).for_each(|_| tape.message());
    let plain = tape.seal(folder.path(), State::Sealed);
    (0..100).for_each(|_| tape.message());
    let growing = folder.path().join("tape.ndjson");
    fs::write(&growing, tape.bytes()).expect("ours");
    let size = fs::metadata(&plain).expect("there").len() + tape.bytes().len() as u64;
    let [input] = &gather(&[folder.path().to_owned()]).expect("a recording")[..] else { panic!("one tape") };

    // The keeper compresses the segment, and the writer begins another file.
    fs::write(format!("{}.zst", plain.display()), zstd(&fs::read(&plain).expect("there"))).expect("ours");
    fs::remove_file(&plain).expect("ours");
    fs::rename(&growing, folder.path().join("tape-20261124T180000Z.ndjson")).expect("ours");
    fs::write(&growing, "").expect("ours");
    let report = tickerd::audit::audit(input, Options { quick: false }, None).expect("readable");
    assert_eq!((kinds(&report, Weight::Fault), report.seals.right), (Vec::new(), 1));
    assert_eq!(report.bytes, size, "all of it is read");
}
