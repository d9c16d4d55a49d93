//! Hashes as three words that people can read to each other over the phone.
//!
//! One word per byte of the start of the hash: a help to notice a difference, never a proof. The list must not change,
//! or old mails and new pages would name the same bytes differently.

/// Three words for the first three bytes of a lower-case hex hash; what is no hex reads as zero.
pub fn fingerprint(hash: &str) -> String {
    let byte = |at: usize| hash.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0);
    [0, 2, 4].map(|at| WORDS[usize::from(byte(at))]).join("-")
}

/// One word per byte value.
const WORDS: [&str; 256] = [
    "acorn", "adobe", "agate", "alder", "almond", "amber", "anchor", "anvil", "apple", "apron", "arch", "arrow", "aspen", "atlas", "attic",
    "autumn", "bacon", "badge", "bagel", "balsa", "bamboo", "banjo", "barley", "barn", "basil", "basin", "basket", "beach", "beacon",
    "beaver", "bell", "bench", "berry", "birch", "bison", "blanket", "bonnet", "boot", "bottle", "branch", "brass", "bread", "brick",
    "bridge", "bronze", "brook", "broom", "bucket", "buckle", "butter", "button", "cabin", "cactus", "camel", "canal", "candle", "canoe",
    "canvas", "canyon", "carrot", "castle", "cedar", "cellar", "chalk", "cheese", "cherry", "chess", "chisel", "cider", "cinema", "clay",
    "cliff", "clock", "cloud", "clover", "coast", "cobalt", "coffee", "comet", "copper", "coral", "cork", "cotton", "crane", "crater",
    "creek", "crown", "cup", "dahlia", "daisy", "dawn", "delta", "denim", "desert", "dome", "donkey", "dragon", "drum", "dune", "eagle",
    "easel", "ember", "engine", "falcon", "fennel", "fern", "ferry", "fiddle", "field", "fig", "flame", "flint", "flour", "flute",
    "forest", "fossil", "fox", "galaxy", "garden", "garlic", "geyser", "ginger", "glacier", "glove", "granite", "grape", "gravel",
    "guitar", "gull", "hammer", "harbor", "harp", "harvest", "hazel", "heron", "hill", "honey", "horizon", "iceberg", "indigo", "iris",
    "iron", "island", "ivory", "ivy", "jacket", "jasmine", "jasper", "juniper", "kayak", "kernel", "kettle", "kite", "ladder", "lagoon",
    "lake", "lantern", "larch", "laurel", "lava", "leather", "lemon", "lentil", "lilac", "lily", "linen", "lotus", "lumber", "magnet",
    "mango", "maple", "marble", "marsh", "meadow", "melon", "mint", "mirror", "mitten", "moon", "mosaic", "moss", "mug", "napkin",
    "nectar", "needle", "nest", "nickel", "nutmeg", "oak", "oasis", "oat", "ocean", "olive", "onion", "opal", "orange", "orchid", "otter",
    "owl", "oyster", "paddle", "palm", "panda", "paper", "parsley", "peach", "peanut", "pear", "pebble", "pencil", "pepper", "piano",
    "pigeon", "pillow", "pine", "planet", "plum", "pocket", "pond", "poppy", "potato", "prairie", "prism", "pumpkin", "quarry", "quartz",
    "quilt", "rabbit", "radish", "raft", "rain", "raven", "reef", "ribbon", "river", "robin", "rocket", "rope", "rose", "ruby", "saddle",
    "saffron", "sail", "salmon", "sand", "sapphire", "scarf", "shell", "silk", "silver", "slate", "spruce", "stone", "sugar", "thistle",
    "tulip",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_plain_word_of_its_own() {
        let mut words = WORDS.to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 256);
        assert!(words.iter().all(|word| word.len() <= 8 && word.bytes().all(|b| b.is_ascii_lowercase())));
    }

    #[test]
    fn the_fingerprint_is_the_first_three_bytes_and_never_fails() {
        assert_eq!(fingerprint("000102ff"), "acorn-adobe-agate");
        assert_eq!(fingerprint("ff00ff"), "tulip-acorn-tulip");
        assert_eq!(fingerprint("é"), "acorn-acorn-acorn");
    }
}
