use proptest::prelude::*;

use super::*;

fn patterns(secrets: &[&str]) -> Arc<Patterns> {
    let secrets: Vec<Secret<String>> = secrets.iter().map(|secret| Secret::from(*secret)).collect();
    Patterns::new(secrets.iter())
}

fn masked(secrets: &[&str], parts: &[&str]) -> String {
    let mut masker = Masker::new(patterns(secrets));
    let mut out = Vec::new();
    for part in parts {
        masker.push(part.as_bytes(), &mut out);
    }
    masker.finish(&mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn hides_a_secret_that_reads_split() {
    assert_eq!(masked(&["hunter2x"], &["pass: hun", "ter", "2x!\n"]), "pass: ***!\n");
    assert_eq!(masked(&["hunter2x"], &["hunter hunter2x"]), "hunter ***");
}

#[test]
fn hides_overlapping_and_nested_secrets() {
    assert_eq!(masked(&["abcab"], &["abcabcab."]), "***.");
    assert_eq!(masked(&["secret", "secret-longer"], &["secret-", "longer secret-x"]), "*** ***-x");
}

#[test]
fn hides_each_line_of_a_key_and_the_key_as_one() {
    let key = "-----BEGIN KEY-----\nAAAABBBB\nCCCC\n-----END KEY-----\n";
    let shown = masked(&[key], &["only AAAABBBB here\n", "CC", "CC\n"]);
    assert_eq!(shown, "only *** here\n***\n");
    assert!(!masked(&[key], &[key]).contains("BBBB"));
}

#[test]
fn hides_the_usual_encodings() {
    let secret = "p&ss wörd/42\"x";
    for encoded in [
        STANDARD.encode(secret),
        STANDARD.encode(format!("u:{secret}")),
        STANDARD.encode(format!("us:{secret}\n")),
        URL_SAFE.encode(format!("user:{secret}")),
        "p%26ss%20w%C3%B6rd%2F42%22x".to_owned(),
        "p%26ss%20w%c3%b6rd%2f42%22x".to_owned(),
        "p%26ss+w%C3%B6rd%2F42%22x".to_owned(),
        serde_json::to_string(secret).expect("json"),
    ] {
        assert!(masked(&[secret], &[&encoded]).contains("***"), "{encoded}");
    }
}

#[test]
fn leaves_short_and_common_words_alone() {
    assert_eq!(masked(&["abc", "true", "", "{"], &["abc is true {"]), "abc is true {");
}

#[test]
fn lets_whole_lines_leave_at_once() {
    let mut masker = Masker::new(patterns(&["hunter2x"]));
    let mut out = Vec::new();
    masker.push(b"building\nstep h", &mut out);
    assert_eq!(out, b"building\nstep ");
    masker.push(b"ere!", &mut out);
    assert_eq!(out, b"building\nstep here!");
}

proptest! {
    #[test]
    fn no_secret_is_ever_shown_however_the_text_is_cut(
        secrets in prop::collection::vec("[ab]{4,7}", 1..4),
        text in "[abc]{0,60}",
        cuts in prop::collection::vec(0_usize..60, 0..8),
    ) {
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len()).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let parts: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let shown = masked(&names, &parts);
        for secret in &secrets {
            prop_assert!(!shown.contains(secret.as_str()), "{} in {}", secret, shown);
        }
        // Cutting changes nothing, and what is shown is the text with only secrets left out.
        prop_assert_eq!(&shown, &masked(&names, &[&text]));
        let mut rest = text.as_str();
        for piece in shown.split("***") {
            let at = rest.find(piece);
            prop_assert!(at.is_some(), "{} is not in {}", piece, rest);
            rest = &rest[at.unwrap_or(0) + piece.len()..];
        }
    }

    #[test]
    fn text_without_secrets_passes_unchanged(text in "[^x]{0,200}") {
        prop_assert_eq!(masked(&["xhunterx"], &[&text]), text);
    }
}
