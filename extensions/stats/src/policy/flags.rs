//! Response flags: what the proxy did to a request, as the short names of its access log.

use std::fmt::Write;

/// By their bits in `response.flags`, from the lowest: Envoy's `CoreResponseFlag`.
const NAMES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX",
    "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
];

/// The names with commas between them, `-` for none. Bits that are newer than this list follow as a number.
pub(super) fn short(flags: i64) -> String {
    let mut text = String::new();
    let (mut rest, mut names) = (flags, NAMES.iter());
    for (bit, name) in names.by_ref().enumerate().map(|(bit, name)| (1_i64 << bit, name)) {
        if rest & bit != 0 {
            rest &= !bit;
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{name}");
        }
    }
    match (rest, text.is_empty()) {
        (0, true) => "-".to_owned(),
        (0, false) => text,
        (_, true) => rest.to_string(),
        (_, false) => format!("{text},{rest}"),
    }
}

#[cfg(test)]
mod tests {
    //! The bits of Envoy 1.40.

    use super::*;

    #[test]
    fn bits_have_names() {
        for (flags, text) in [
            (0, "-"),
            (1, "LH"),
            (0x20, "UF"),
            (0x8020, "UF,URX"),
            (0x400_0000, "DF"),
            (0x800_0000, "DO"),
            (0x1000_0000, "DR"),
            (0x2000_0000, "UDO"),
            (0x4000_0001, "LH,1073741824"),
            (0x4000_0000, "1073741824"),
        ] {
            assert_eq!(short(flags), text);
        }
    }
}
