package bench

import (
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// key is what the generator must know of a message when it comes back in a push, carried as its client_msg_id: a version 8
// (custom) UUID of 32 random bits (so that keys spread over the server's index as real clients' do), the sender's number
// (16 bits), the message's number at that sender (26 bits) and the time it was due (48 bits of microseconds since epoch).
type key struct {
	sender int
	index  int
	due    time.Duration // since epoch
}

const (
	maxSenders         = 1 << 16
	maxMessagesASender = 1 << 26
)

// epoch is the zero of all times in keys; it has a monotonic clock reading.
var epoch = time.Now()

// since is now on the keys' clock.
func since() time.Duration { return time.Since(epoch) }

// appendKey appends the 36 characters of the UUID.
func appendKey(dst []byte, k key) []byte {
	var b [16]byte
	r, us := rand.Uint32(), uint64(k.due.Microseconds())
	b[0], b[1], b[2], b[3] = byte(r>>24), byte(r>>16), byte(r>>8), byte(r)
	b[4], b[5] = byte(k.sender>>8), byte(k.sender)
	b[6], b[7] = 0x80|byte(k.index>>22)&0x0f, byte(k.index>>14)
	b[8], b[9] = 0x80|byte(k.index>>8)&0x3f, byte(k.index)
	for i := range 6 {
		b[10+i] = byte(us >> (8 * (5 - i)))
	}
	var text [36]byte
	hex.Encode(text[0:8], b[0:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:36], b[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(dst, text[:]...)
}

// parseKey reads a key back; false means that the text is not one of ours.
func parseKey(text []byte) (key, bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return key{}, false
	}
	var b [16]byte
	for _, part := range [...]struct{ at, from, to int }{{0, 0, 8}, {4, 9, 13}, {6, 14, 18}, {8, 19, 23}, {10, 24, 36}} {
		if _, err := hex.Decode(b[part.at:], text[part.from:part.to]); err != nil {
			return key{}, false
		}
	}
	if b[6]&0xf0 != 0x80 || b[8]&0xc0 != 0x80 {
		return key{}, false
	}
	var us uint64
	for _, v := range b[10:] {
		us = us<<8 | uint64(v)
	}
	return key{
		sender: int(b[4])<<8 | int(b[5]),
		index:  int(b[6]&0x0f)<<22 | int(b[7])<<14 | int(b[8]&0x3f)<<8 | int(b[9]),
		due:    time.Duration(us) * time.Microsecond,
	}, true
}
