//! A hash as three words: what people can compare across a table or over the phone.

/// Three words for bytes 4 to 6 of a hash; the 8 characters shown beside them are bytes 0 to 3, so both together show
/// 56 bits. What is not hex gives no words.
pub fn fingerprint(hash: &str) -> String {
    let word = |at: usize| {
        let byte = u8::from_str_radix(hash.get(at..at + 2)?, 16).ok()?;
        WORDS.get(usize::from(byte)).copied()
    };
    match (word(8), word(10), word(12)) {
        (Some(first), Some(second), Some(third)) => format!("{first}-{second}-{third}"),
        _ => String::new(),
    }
}

/// One per value of a byte, in alphabetical order: changing one changes what people compare.
#[rustfmt::skip]
const WORDS: [&str; 256] = [
    "acorn", "amber", "anchor", "apple", "apron", "arrow", "aspen", "atlas", "attic", "autumn", "badge", "bagel", "bamboo", "banjo",
    "barley", "barrel", "basil", "basin", "beacon", "beaver", "bench", "berry", "birch", "bison", "blanket", "blossom", "bottle",
    "boulder", "bramble", "brass", "bridge", "brook", "broom", "bucket", "buffalo", "bugle", "button", "cabin", "cactus", "camel",
    "candle", "canoe", "canyon", "carbon", "cargo", "carpet", "castle", "cedar", "cellar", "cello", "chalk", "cherry", "chimney",
    "cider", "cinder", "citrus", "clover", "coast", "cobalt", "comet", "compass", "copper", "coral", "cotton", "cradle", "crane",
    "crater", "creek", "cricket", "crystal", "curtain", "cypress", "daisy", "delta", "denim", "desert", "diamond", "dolphin", "domino",
    "dragon", "drum", "dune", "eagle", "easel", "ebony", "eclipse", "elbow", "elder", "ember", "engine", "falcon", "feather", "fennel",
    "fern", "ferry", "fiddle", "finch", "flame", "flint", "flute", "forest", "fossil", "fountain", "fox", "galaxy", "garden", "garlic",
    "gazelle", "ginger", "glacier", "goose", "granite", "grape", "gravel", "guitar", "hammer", "harbor", "harvest", "hazel", "hedge",
    "helmet", "heron", "hickory", "hollow", "honey", "horizon", "hornet", "iceberg", "indigo", "iris", "island", "ivory", "ivy",
    "jacket", "jaguar", "jasmine", "jigsaw", "juniper", "kayak", "kernel", "kestrel", "kettle", "kite", "kiwi", "ladder", "lagoon",
    "lantern", "lark", "lavender", "leaf", "lemon", "lentil", "lilac", "lily", "linen", "lizard", "lobster", "locket", "lotus",
    "lumber", "magnet", "magpie", "mango", "maple", "marble", "marsh", "meadow", "melon", "mercury", "mesa", "mint", "mirror",
    "monsoon", "moose", "mosaic", "moss", "mountain", "mural", "napkin", "nectar", "needle", "nickel", "nutmeg", "oak", "oasis",
    "ocean", "olive", "onyx", "opal", "orbit", "orchard", "orchid", "otter", "owl", "oyster", "paddle", "palm", "panda", "paper",
    "parsley", "peach", "pebble", "pelican", "pepper", "piano", "pigeon", "pillow", "pine", "planet", "plum", "pocket", "pollen",
    "pond", "poplar", "poppy", "prairie", "prism", "pumpkin", "puzzle", "quail", "quartz", "quill", "rabbit", "radish", "raft",
    "raven", "reef", "ribbon", "river", "robin", "rocket", "rose", "saddle", "saffron", "sail", "salmon", "sandal", "sapphire",
    "saturn", "scarf", "shadow", "shell", "silver", "sparrow", "spruce", "summit", "thistle", "tulip", "tundra", "turtle", "velvet",
    "violin", "waffle", "walnut", "willow", "zebra",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_a_byte_has_its_own_word() {
        let mut words = WORDS.to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 256);
        assert!(words.iter().all(|word| word.len() <= 8 && word.chars().all(|c| c.is_ascii_lowercase())));
    }

    #[test]
    fn the_words_are_of_the_bytes_after_those_shown_in_hex() {
        assert_eq!(fingerprint("9329e9740001ffaa"), format!("{}-{}-{}", WORDS[0], WORDS[1], WORDS[255]));
        assert_eq!(fingerprint("not a hash at all"), "");
        assert_eq!(fingerprint("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"), "");
        assert_eq!(fingerprint(""), "");
    }
}
