//! The numbers of ssh_config: counts, ports, times, amounts.

use super::directive::Fault;

/// Reads a count, as `connectionattempts` takes it.
pub(super) fn number(word: &str, name: &str) -> Result<String, Fault> {
    let least = if name == "connectionattempts" { 1 } else { 0 };
    match word.parse::<i32>() {
        Ok(number) if number >= least => Ok(number.to_string()),
        _ => Err(Fault::Bad(format!("a number is wanted: {word}"))),
    }
}

/// Reads a port. Names of services are left to the program, which knows /etc/services.
pub(super) fn port(word: &str) -> Result<String, Fault> {
    let number = word.strip_prefix('+').unwrap_or(word);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Odd(format!("port {word}")));
    }
    match number.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port.to_string()),
        _ => Err(Fault::Bad(format!("bad port: {word}"))),
    }
}

/// Reads a time such as `90`, `1m30` or `2h`, and returns its seconds; `none` stays.
pub(super) fn time(word: &str) -> Result<String, Fault> {
    if word == "none" {
        return Ok("none".into());
    }
    let bad = || Fault::Bad(format!("not a time: {word}"));
    let mut seconds: u64 = 0;
    let mut rest = word.strip_prefix('+').unwrap_or(word);
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (amount, unit) = rest.split_at_checked(digits).ok_or_else(bad)?;
        let amount: u64 = amount.parse().map_err(|_| bad())?;
        let mut after = unit.chars();
        let scale = match after.next().map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 24 * 3600,
            Some('w') => 7 * 24 * 3600,
            Some(_) => return Err(bad()),
        };
        rest = after.as_str();
        let part = amount.checked_mul(scale).ok_or_else(bad)?;
        seconds = seconds.checked_add(part).filter(|&sum| sum <= MAX_TIME).ok_or_else(bad)?;
    }
    Ok(seconds.to_string())
}

/// As many seconds as OpenSSH takes.
const MAX_TIME: u64 = 0x7fff_ffff;

/// Reads an amount and perhaps a time: `1G 1h`, `default none`. Zero stands for the default of
/// either.
pub(super) fn rekey(words: &[String]) -> Result<Vec<String>, Fault> {
    let (amount, time) = match words {
        [amount] => (amount, None),
        [amount, time] => (amount, Some(time)),
        [] => return Err(Fault::Bad("a value is missing".into())),
        _ => return Err(Fault::Bad(format!("two values are wanted: {}", words.join(" ")))),
    };
    let bytes = if amount == "default" { 0 } else { bytes(amount)? };
    if (1..16).contains(&bytes) {
        return Err(Fault::Bad(format!("too small: {amount}")));
    }
    let seconds = match time.map(String::as_str) {
        None => return Ok(vec![bytes.to_string()]),
        Some("none") => "0".into(),
        Some(time) => self::time(time)?,
    };
    Ok(vec![bytes.to_string(), seconds])
}

fn bytes(amount: &str) -> Result<u64, Fault> {
    let bad = || Fault::Bad(format!("bad number: {amount}"));
    let (number, scale) = match amount.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => {
            let scale = "bkmgtpe".find(unit.to_ascii_lowercase()).ok_or_else(bad)?;
            (amount.get(..at).unwrap_or_default(), scale)
        }
        _ => (amount, 0),
    };
    let scale = 1u64.checked_shl(u32::try_from(scale * 10).map_err(|_| bad())?).ok_or_else(bad)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) {
        return Err(bad());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let whole = whole.checked_mul(scale).filter(|&all| i64::try_from(all).is_ok());
    let part = fraction(part, scale).ok_or_else(bad)?;
    whole.and_then(|whole| whole.checked_add(part)).ok_or_else(bad)
}

/// The digits behind the point, of which so many as fit are taken.
fn fraction(digits: &str, scale: u64) -> Option<u64> {
    let digits = digits.get(..digits.len().min(15))?;
    if digits.is_empty() {
        return Some(0);
    }
    let parts: u128 = digits.parse().ok()?;
    let all = 10u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    u64::try_from(parts * u128::from(scale) / all).ok()
}
