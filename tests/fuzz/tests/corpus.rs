//! Replays the corpus: what fuzzing found once stays found.

use std::path::Path;

fn replay(target: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a readable file");
        let outcome = std::panic::catch_unwind(|| fuzz::run(target, &bytes));
        assert!(
            outcome.is_ok(),
            "target `{target}` fails on {}",
            path.display()
        );
        count += 1;
    }
    assert!(count >= 5, "the corpus of `{target}` is nearly empty");
}

macro_rules! replays {
    ($($target:ident),* $(,)?) => {
        $(#[test] fn $target() { replay(stringify!($target)); })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            let known: Vec<_> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(known, replayed);
        }
    };
}

replays!(
    headers,
    graph,
    super_frames,
    api_codec,
    api_server,
    memif_server,
    memif_client,
    stats,
    annotation,
    manifest,
    cni,
);
