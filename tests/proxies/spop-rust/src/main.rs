//! A client of SPOP made with the Rust crate `spop`: it asks the agent what standard input says, line
//! by line, and prints the answers. tests/proxies/test_spop_libraries.py has the language.
//!
//! The crate's codec writes HAPROXY-HELLO and HAPROXY-DISCONNECT. It writes no NOTIFY and reads
//! nothing that an agent sends, so that is done here by the crate's numbers and values.

use bytes::BytesMut;
use spop::frames::haproxy_disconnect::{HaproxyDisconnect, HaproxyDisconnectFrame};
use spop::frames::haproxy_hello::{HaproxyHello, HaproxyHelloFrame};
use spop::types::typed_data;
use spop::{
    FrameFlags, FrameType, Metadata, SpopCodec, SpopFrame, TypedData, decode_varint,
    encode_varint_into,
};
use std::error::Error;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use tokio_util::codec::Encoder;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn metadata(stream_id: u64, frame_id: u64) -> Metadata {
    Metadata {
        flags: FrameFlags::new(true, false),
        stream_id,
        frame_id,
    }
}

/// What is left of a frame that is being read.
struct Frame {
    bytes: Vec<u8>,
    at: usize,
}

impl Frame {
    fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or("a frame ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64> {
        let rest = &self.bytes[self.at..];
        let (behind, number) = decode_varint(rest).map_err(|error| error.to_string())?;
        self.at += rest.len() - behind.len();
        Ok(number)
    }

    fn text(&mut self) -> Result<String> {
        let len = usize::try_from(self.number()?)?;
        let text = self
            .bytes
            .get(self.at..self.at + len)
            .ok_or("a frame ends too early")?;
        self.at += len;
        Ok(std::str::from_utf8(text)?.to_string())
    }

    fn value(&mut self) -> Result<TypedData> {
        let rest = &self.bytes[self.at..];
        let (behind, value) = typed_data(rest).map_err(|error| error.to_string())?;
        self.at += rest.len() - behind.len();
        Ok(value)
    }
}

struct Peer {
    stream: TcpStream,
    codec: SpopCodec,
}

impl Peer {
    fn write(&mut self, frame: Box<dyn SpopFrame>) -> Result<()> {
        let mut output = BytesMut::new();
        self.codec.encode(frame, &mut output)?;
        Ok(self.stream.write_all(&output)?)
    }

    /// Reads a frame up to its ids.
    fn expect(&mut self, kind: FrameType) -> Result<Frame> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut bytes = vec![0; usize::try_from(u32::from_be_bytes(length))?];
        self.stream.read_exact(&mut bytes)?;
        if bytes[0] != kind.to_u8() {
            return Err(format!("a frame of type {} instead of {kind:?}", bytes[0]).into());
        }
        Ok(Frame { bytes, at: 5 })
    }
}

fn value_of(kind: &str, text: &str) -> Result<TypedData> {
    Ok(match kind {
        "null" => TypedData::Null,
        "bool" => TypedData::Bool(text == "true"),
        "int32" => TypedData::Int32(text.parse()?),
        "uint32" => TypedData::UInt32(text.parse()?),
        "int64" => TypedData::Int64(text.parse()?),
        "uint64" => TypedData::UInt64(text.parse()?),
        "ipv4" => TypedData::IPv4(text.parse()?),
        "ipv6" => TypedData::IPv6(text.parse()?),
        "str" => TypedData::String(text.to_string()),
        "bin" => TypedData::Binary(
            (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16))
                .collect::<std::result::Result<_, _>>()?,
        ),
        _ => return Err(format!("there is no type {kind}").into()),
    })
}

fn shown(value: &TypedData) -> String {
    match value {
        TypedData::Bool(value) => format!("bool\t{value}"),
        TypedData::Int64(value) => format!("int64\t{value}"),
        TypedData::String(value) => format!("str\t{value}"),
        other => format!("{other:?}\t"),
    }
}

struct Message {
    name: String,
    arguments: Vec<(String, TypedData)>,
}

fn put_text(text: &str, to: &mut Vec<u8>) {
    encode_varint_into(text.len() as u64, to);
    to.extend_from_slice(text.as_bytes());
}

fn notify(frame_id: u64, messages: &[Message]) -> Result<Vec<u8>> {
    let mut body = vec![FrameType::Notify.to_u8()];
    metadata(1, frame_id).write_to(&mut body);
    for message in messages {
        put_text(&message.name, &mut body);
        body.push(u8::try_from(message.arguments.len())?);
        for (name, value) in &message.arguments {
            put_text(name, &mut body);
            value.to_bytes(&mut body);
        }
    }
    let mut frame = u32::try_from(body.len())?.to_be_bytes().to_vec();
    frame.append(&mut body);
    Ok(frame)
}

fn print_ack(ack: &mut Frame) -> Result<()> {
    println!("ack\t{}\t{}", ack.number()?, ack.number()?);
    while ack.at < ack.bytes.len() {
        let (action, _, scope) = (ack.byte()?, ack.byte()?, ack.byte()?);
        let name = ack.text()?;
        if action == 1 {
            println!("set\t{scope}\t{name}\t{}", shown(&ack.value()?));
        } else {
            println!("unset\t{scope}\t{name}");
        }
    }
    println!("end");
    Ok(())
}

fn greet(peer: &mut Peer) -> Result<()> {
    peer.write(Box::new(HaproxyHelloFrame {
        metadata: metadata(0, 0),
        payload: HaproxyHello {
            supported_versions: vec![spop::SUPPORTED_VERSION],
            max_frame_size: 16380,
            capabilities: vec![],
            healthcheck: None,
            engine_id: None,
        },
    }))?;
    peer.expect(FrameType::AgentHello)?;
    Ok(())
}

fn take_leave(peer: &mut Peer) -> Result<()> {
    peer.write(Box::new(HaproxyDisconnectFrame {
        metadata: metadata(0, 0),
        payload: HaproxyDisconnect {
            status_code: 0,
            message: "normal".to_string(),
        },
    }))?;
    peer.expect(FrameType::AgentDisconnect)?;
    println!("bye");
    Ok(())
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1).ok_or("an address is missing")?;
    let stream = TcpStream::connect(address)?;
    let mut peer = Peer {
        stream,
        codec: SpopCodec::default(),
    };
    let mut messages: Vec<Message> = vec![];
    let mut frame_id = 0;

    greet(&mut peer)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        match words[0] {
            "message" => {
                messages.push(Message {
                    name: words[1].to_string(),
                    arguments: vec![],
                });
            }
            "argument" => messages
                .last_mut()
                .ok_or("an argument without a message")?
                .arguments
                .push((words[1].to_string(), value_of(words[2], words[3])?)),
            "send" => {
                frame_id += 1;
                let frame = notify(frame_id, &messages)?;
                peer.stream.write_all(&frame)?;
                print_ack(&mut peer.expect(FrameType::Ack)?)?;
                messages.clear();
            }
            _ => return Err(format!("{line} is not understood").into()),
        }
    }
    take_leave(&mut peer)
}
