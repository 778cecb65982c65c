//! An SSH server that keeps to no rule: a handshake that is right, and after it any bytes at all.
//!
//! One kex, one host key type, one cipher: curve25519, Ed25519, AES-128-GCM.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

/// Bytes of the tag behind each packet.
const TAG: usize = 16;

pub(crate) type Io<T = ()> = std::io::Result<T>;

/// A message as it is put together.
#[derive(Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn text(self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        let mut longer = self.number(u32::try_from(text.len()).unwrap());
        longer.0.extend(text);
        longer
    }
}

/// One direction of the encryption.
struct Keys {
    key: LessSafeKey,
    nonce: [u8; 12],
}

impl Keys {
    fn next(&mut self) -> Nonce {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let (_, counter) = self.nonce.split_at_mut(4);
        let next = u64::from_be_bytes(counter.try_into().unwrap()).wrapping_add(1);
        counter.copy_from_slice(&next.to_be_bytes());
        nonce
    }
}

/// A client's connection, as this server has it.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    sending: Option<Keys>,
    receiving: Option<Keys>,
}

/// Listens on loopback and deals with each connection in a thread of its own.
pub(crate) fn serve(deal: impl Fn(Wire) -> Io + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let deal = std::sync::Arc::new(deal);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let deal = std::sync::Arc::clone(&deal);
            stream.set_nodelay(true).unwrap();
            // A client that hangs up ends the dealing; nothing else is of interest.
            std::thread::spawn(move || deal(Wire { stream, sending: None, receiving: None }));
        }
    });
    port
}

impl Wire {
    pub(crate) fn send(&mut self, message: &Message) -> Io {
        let packet = self.packet(&message.0);
        self.stream.write_all(&packet)
    }

    /// Sends the same for as long as the client takes it.
    pub(crate) fn flood(&mut self, message: &Message) -> Io {
        loop {
            self.send(message)?;
        }
    }

    fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        // The length stands outside of what GCM encrypts in blocks of 16.
        let head = if self.sending.is_some() { 1 } else { 5 };
        let block = if self.sending.is_some() { 16 } else { 8 };
        let mut padding = block - (head + payload.len()) % block;
        if padding < 4 {
            padding += block;
        }
        let length = u32::try_from(1 + payload.len() + padding).unwrap();
        let mut packet = length.to_be_bytes().to_vec();
        packet.push(u8::try_from(padding).unwrap());
        packet.extend(payload);
        packet.resize(packet.len() + padding, 0);
        if let Some(keys) = &mut self.sending {
            let nonce = keys.next();
            let (aad, body) = packet.split_at_mut(4);
            let tag = keys.key.seal_in_place_separate_tag(nonce, Aad::from(&*aad), body).unwrap();
            packet.extend(tag.as_ref());
        }
        packet
    }

    pub(crate) fn receive(&mut self) -> Io<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let size = u32::from_be_bytes(length) as usize;
        assert!(size < 1 << 20, "a client of ours sends no packet of {size} bytes");
        let tag = if self.receiving.is_some() { TAG } else { 0 };
        let mut body = vec![0; size + tag];
        self.stream.read_exact(&mut body)?;
        if let Some(keys) = &mut self.receiving {
            let nonce = keys.next();
            keys.key.open_in_place(nonce, Aad::from(length), &mut body).unwrap();
        }
        let padding = usize::from(body[0]);
        Ok(body[1..size - padding].to_vec())
    }

    /// Waits for a message of this kind and drops all before it.
    pub(crate) fn wait_for(&mut self, kind: u8) -> Io<Vec<u8>> {
        loop {
            let message = self.receive()?;
            if message.first() == Some(&kind) {
                return Ok(message);
            }
        }
    }

    /// Reads whatever comes, until the client is gone.
    pub(crate) fn listen(&mut self) -> Io {
        let mut buffer = [0; 65536];
        while self.stream.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Tells our version and reads the client's.
    pub(crate) fn greet(&mut self) -> Io<Vec<u8>> {
        self.stream.write_all(b"SSH-2.0-Hostile\r\n")?;
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            self.stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        Ok(line)
    }

    /// A key exchange as it should be.
    pub(crate) fn exchange(&mut self) -> Io {
        let theirs = self.greet()?;
        let ours = kexinit();
        self.send(&ours)?;
        let init = self.receive()?;
        let ask = self.wait_for(30)?;
        let their_point = ask[5..].to_vec();

        let random = SystemRandom::new();
        let secret = EphemeralPrivateKey::generate(&X25519, &random).unwrap();
        let point = secret.compute_public_key().unwrap().as_ref().to_vec();
        let peer = UnparsedPublicKey::new(&X25519, &their_point);
        let failed = std::io::Error::from(ErrorKind::InvalidData);
        let shared = agree_ephemeral(secret, peer, failed, |shared| Ok(shared.to_vec()))?;
        let shared = mpint(&shared);

        let host = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = Message::default().text("ssh-ed25519").text(host.public_key().as_ref()).0;
        let mut hashed = Message::default()
            .text(&theirs)
            .text("SSH-2.0-Hostile")
            .text(&init)
            .text(&ours.0)
            .text(&key)
            .text(&their_point)
            .text(&point)
            .0;
        hashed.extend(&shared);
        let hash = digest(&SHA256, &hashed).as_ref().to_vec();
        let signature = Message::default().text("ssh-ed25519").text(host.sign(&hash).as_ref()).0;
        self.send(&Message::new(31).text(&key).text(&point).text(&signature))?;
        self.send(&Message::new(21))?;
        let keys = |nonce: u8, key: u8| {
            let derive = |letter: u8| {
                let text = [shared.as_slice(), &hash, &[letter], &hash].concat();
                digest(&SHA256, &text)
            };
            Keys {
                key: LessSafeKey::new(
                    UnboundKey::new(&AES_128_GCM, &derive(key).as_ref()[..16]).unwrap(),
                ),
                nonce: derive(nonce).as_ref()[..12].try_into().unwrap(),
            }
        };
        self.sending = Some(keys(b'B', b'D'));
        self.wait_for(21)?;
        self.receiving = Some(keys(b'A', b'C'));
        Ok(())
    }

    /// A key exchange, then the client asks to be let in; its request is not answered yet.
    pub(crate) fn asked_in(&mut self) -> Io<Vec<u8>> {
        self.exchange()?;
        self.wait_for(5)?;
        self.send(&Message::new(6).text("ssh-userauth"))?;
        self.wait_for(50)
    }

    /// A login that is granted.
    pub(crate) fn let_in(&mut self) -> Io {
        self.asked_in()?;
        self.send(&Message::new(52))
    }

    /// A login and a session that is opened with this window; returns the client's number of it.
    pub(crate) fn session(&mut self, window: u32, packet: u32) -> Io<u32> {
        self.let_in()?;
        let channel = self.session_asked()?;
        self.send(&Message::new(91).number(channel).number(0).number(window).number(packet))?;
        Ok(channel)
    }

    pub(crate) fn session_asked(&mut self) -> Io<u32> {
        let open = self.wait_for(90)?;
        let at = 1 + 4 + "session".len();
        Ok(u32::from_be_bytes(open[at..at + 4].try_into().unwrap()))
    }

    /// A session whose command is said to run; returns its number and the text of the command.
    pub(crate) fn command(&mut self) -> Io<(u32, String)> {
        let channel = self.session(1 << 21, 32768)?;
        let text = self.command_asked()?;
        self.send(&Message::new(99).number(channel))?;
        Ok((channel, text))
    }

    pub(crate) fn command_asked(&mut self) -> Io<String> {
        let request = self.wait_for(98)?;
        let at = 1 + 4 + 4 + "exec".len() + 1 + 4;
        Ok(String::from_utf8_lossy(&request[at..]).into_owned())
    }
}

/// The algorithms this server has.
pub(crate) fn kexinit() -> Message {
    let mut message = Message::new(20);
    message.0.extend([3; 16]);
    for list in [
        "curve25519-sha256",
        "ssh-ed25519",
        "aes128-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ] {
        message = message.text(list);
    }
    message.byte(0).number(0)
}

/// A number as SSH writes it: no zeros before it, one where it would look negative.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    let mut number = bytes[start..].to_vec();
    if number.first().is_some_and(|&first| first >= 0x80) {
        number.insert(0, 0);
    }
    Message::default().text(number).0
}

/// What belongs to a session's end: output, exit, end of file, close.
pub(crate) fn data(channel: u32, text: impl AsRef<[u8]>) -> Message {
    Message::new(94).number(channel).text(text)
}

pub(crate) fn stderr(channel: u32, text: impl AsRef<[u8]>) -> Message {
    Message::new(95).number(channel).number(1).text(text)
}

pub(crate) fn exit(channel: u32, code: u32) -> Message {
    Message::new(98).number(channel).text("exit-status").byte(0).number(code)
}

pub(crate) fn eof(channel: u32) -> Message {
    Message::new(96).number(channel)
}

pub(crate) fn close(channel: u32) -> Message {
    Message::new(97).number(channel)
}
