// A client of SPOP made with the Go library haproxy-spoe-go: it asks the agent what standard input
// says, line by line, and prints the answers. tests/proxies/test_spop_libraries.py has the language.
//
// The library's own client does the handshake and the end. Its frames can't be written with
// messages in them, nor read when they are an ACK, so those are put together here from the library's
// values and numbers.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/negasus/haproxy-spoe-go/client"
	"github.com/negasus/haproxy-spoe-go/typeddata"
	"github.com/negasus/haproxy-spoe-go/varint"
)

const (
	notify = 3
	ack    = 103
	fin    = 1
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func putNumber(to []byte, number uint64) []byte {
	var memory [10]byte
	return append(to, memory[:varint.PutUvarint(memory[:], number)]...)
}

func putText(to []byte, text string) []byte {
	return append(putNumber(to, uint64(len(text))), text...)
}

func valueOf(kind, text string) interface{} {
	switch kind {
	case "null":
		return nil
	case "bool":
		return text == "true"
	case "int32":
		number, err := strconv.ParseInt(text, 10, 32)
		check(err)
		return int32(number)
	case "uint32":
		number, err := strconv.ParseUint(text, 10, 32)
		check(err)
		return uint32(number)
	case "int64":
		number, err := strconv.ParseInt(text, 10, 64)
		check(err)
		return number
	case "uint64":
		number, err := strconv.ParseUint(text, 10, 64)
		check(err)
		return number
	case "str":
		return text
	case "bin":
		data, err := hex.DecodeString(text)
		check(err)
		return data
	}
	log.Fatalf("the library sends no %s", kind)
	return nil
}

type message struct {
	name      string
	count     byte
	arguments []byte
}

func (m *message) add(name, kind, text string) {
	m.count++
	data, _, err := typeddata.Encode(valueOf(kind, text), nil)
	check(err)
	m.arguments = append(putText(m.arguments, name), data...)
}

func send(conn net.Conn, frameID uint64, messages []message) {
	body := binary.BigEndian.AppendUint32([]byte{notify}, fin)
	body = putNumber(putNumber(body, 1), frameID)
	for _, m := range messages {
		body = append(putText(body, m.name), m.count)
		body = append(body, m.arguments...)
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	check(err)
}

// reader takes values off the front of a frame.
type reader struct{ rest []byte }

func (r *reader) number() uint64 {
	number, n := varint.Uvarint(r.rest)
	r.rest = r.rest[n:]
	return number
}

func (r *reader) text() string {
	n := r.number()
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

func (r *reader) byte() byte {
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) value() (string, string) {
	data, n, err := typeddata.Decode(r.rest)
	check(err)
	r.rest = r.rest[n:]
	switch value := data.(type) {
	case bool:
		return "bool", strconv.FormatBool(value)
	case int64:
		return "int64", strconv.FormatInt(value, 10)
	case string:
		return "str", value
	}
	return fmt.Sprintf("%T", data), fmt.Sprint(data)
}

func receive(conn net.Conn) {
	var length [4]byte
	_, err := io.ReadFull(conn, length[:])
	check(err)
	body := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err = io.ReadFull(conn, body)
	check(err)
	if body[0] != ack {
		log.Fatalf("a frame of type %d", body[0])
	}
	r := reader{body[5:]}
	fmt.Printf("ack\t%d\t%d\n", r.number(), r.number())
	for len(r.rest) > 0 {
		action, _, scope := r.byte(), r.byte(), r.byte()
		name := r.text()
		if action == 1 {
			kind, text := r.value()
			fmt.Printf("set\t%d\t%s\t%s\t%s\n", scope, name, kind, text)
		} else {
			fmt.Printf("unset\t%d\t%s\n", scope, name)
		}
	}
	fmt.Println("end")
}

func main() {
	conn, err := net.Dial("tcp", os.Args[1])
	check(err)
	peer := client.NewClient(conn)
	check(peer.Init())
	var messages []message
	frameID := uint64(0)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		switch words[0] {
		case "message":
			messages = append(messages, message{name: words[1]})
		case "argument":
			messages[len(messages)-1].add(words[1], words[2], words[3])
		case "send":
			frameID++
			send(conn, frameID, messages)
			receive(conn)
			messages = nil
		case "nothing": // the library's own NOTIFY, which has no messages
			check(peer.Notify())
		}
	}
	check(peer.Stop())
	fmt.Println("bye")
}
