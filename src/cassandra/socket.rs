//! /proc/net/tcp: which ports somebody listens on.

/// Returns the ports that are listened on, from the beginning of /proc/net/tcp and tcp6, where the
/// kernel lists such sockets; `None` when the text is no such listing.
pub fn listening(text: &str) -> Option<Vec<u16>> {
    let mut has_header = false;
    let mut ports = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().take(4).collect();
        match fields.as_slice() {
            ["sl", "local_address", ..] => has_header = true,
            // 0A is LISTEN.
            [_, local, _, "0A"] => {
                let (_, port) = local.rsplit_once(':')?;
                ports.push(u16::from_str_radix(port, 16).ok()?);
            }
            _ => {}
        }
    }
    has_header.then_some(ports)
}

#[cfg(test)]
mod tests {
    use super::listening;

    #[test]
    fn listeners_of_both_families_are_found() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue\n\
            \x20  0: 0B004D0A:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000 201\n\
            \x20  1: 0B004D0A:1B58 0C004D0A:C350 01 00000000:00000000 00:00000000 00000000 201\n\
            \x20 sl  local_address                         remote_address\n\
            \x20  0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A\n";
        assert_eq!(listening(text), Some(vec![7000, 22]));
        assert_eq!(listening(""), None);
    }
}
