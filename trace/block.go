package trace

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/bits"

	"ackbox/model"
)

// A segment file is a row of blocks, and a block is what one write brought: a header, a filter that says cheaply that a
// message is not in it, the texts that its events name, and the events. Every block can be read alone. What a kill left
// half written fails its length or its checksum and is the end of the file.
//
//	0  magic    uint32     16 from    int64, Unix microseconds    36 dropped uint32
//	4  length   uint32     24 to      int64                       40 filter  uint32, bytes
//	8  checksum uint32     32 events  uint32                      44 node    uint16
//	12 version  uint32                                            46 bits, 47 bits of ranges
//
// length is of what follows the header; the checksum (CRC-32C) is over the header from version on and what follows.
const (
	blockMagic   = 0x4b4c4254 // TBLK
	blockVersion = 1
	headerBytes  = 48
	// maxBlock bounds what a reader takes for a block: a full buffer is a fraction of it.
	maxBlock = 16 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what can be known of a block without its events.
type header struct {
	length    uint32
	checksum  uint32
	from, to  int64
	events    uint32
	dropped   uint32
	filter    uint32
	node      uint16
	bits      uint8 // the share of messages that is followed: 2^-bits
	rangeBits uint8
}

// errNoBlock is where a segment ends, in order or half written.
var errNoBlock = errors.New("no block")

func readHeader(b []byte) (h header, err error) {
	if len(b) < headerBytes || binary.LittleEndian.Uint32(b) != blockMagic || binary.LittleEndian.Uint32(b[12:]) != blockVersion {
		return h, errNoBlock
	}
	h = header{
		length: binary.LittleEndian.Uint32(b[4:]), checksum: binary.LittleEndian.Uint32(b[8:]),
		from: int64(binary.LittleEndian.Uint64(b[16:])), to: int64(binary.LittleEndian.Uint64(b[24:])), events: binary.LittleEndian.Uint32(b[32:]), dropped: binary.LittleEndian.Uint32(b[36:]),
		filter: binary.LittleEndian.Uint32(b[40:]), node: binary.LittleEndian.Uint16(b[44:]), bits: b[46], rangeBits: b[47],
	}
	if h.length > maxBlock || h.filter > h.length || h.events > h.length || h.filter&(h.filter-1) != 0 {
		return h, errNoBlock
	}
	return h, nil
}

// encoder makes blocks; its memory is used again.
type encoder struct {
	out   []byte
	body  []byte
	texts map[string]uint64
	list  []string
}

// block encodes what one write brings. The answer is good until the next call.
func (e *encoder) block(events []Event, h header) []byte {
	if e.texts == nil {
		e.texts = map[string]uint64{"": 0}
	}
	clear(e.texts)
	e.texts[""] = 0
	e.list = e.list[:0]
	e.body = e.body[:0]
	h.filter, h.events = filterBytes(len(events)), uint32(len(events))
	if len(events) > 0 {
		h.from, h.to = math.MaxInt64, math.MinInt64
	}
	e.out = append(e.out[:0], make([]byte, headerBytes+int(h.filter))...)
	filter := e.out[headerBytes:]
	last := Event{At: 0}
	for i := range events {
		v := &events[i]
		h.from, h.to = min(h.from, v.At), max(h.to, v.At)
		add(filter, keyOf(v))
		e.event(v, &last)
		last.At, last.Message = v.At, v.Message
	}
	e.out = binary.AppendUvarint(e.out, uint64(len(e.list)))
	for _, text := range e.list {
		e.out = binary.AppendUvarint(e.out, uint64(len(text)))
		e.out = append(e.out, text...)
	}
	e.out = append(e.out, e.body...)
	b := e.out
	binary.LittleEndian.PutUint32(b, blockMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-headerBytes))
	binary.LittleEndian.PutUint32(b[12:], blockVersion)
	binary.LittleEndian.PutUint64(b[16:], uint64(h.from))
	binary.LittleEndian.PutUint64(b[24:], uint64(h.to))
	binary.LittleEndian.PutUint32(b[32:], h.events)
	binary.LittleEndian.PutUint32(b[36:], h.dropped)
	binary.LittleEndian.PutUint32(b[40:], h.filter)
	binary.LittleEndian.PutUint16(b[44:], h.node)
	b[46], b[47] = h.bits, h.rangeBits
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	return b
}

func (e *encoder) text(s string) uint64 {
	n, known := e.texts[s]
	if !known {
		n = uint64(len(e.list) + 1)
		e.texts[s] = n
		e.list = append(e.list, s)
	}
	return n
}

// fields are the numbers of an event in their order; those that are zero are left out, and a mask says which.
func (e *encoder) event(v, last *Event) {
	numbers := [...]int64{
		int64(v.Message - last.Message), int64(v.Conversation), int64(v.User), int64(e.text(string(v.Device))), int64(e.text(v.Connection)),
		v.After, v.Seq, int64(v.Attempt), v.Count, v.Took, int64(v.Batch), 0,
	}
	if v.Waits {
		numbers[len(numbers)-1] = 1
	}
	mask := uint64(0)
	for i, n := range numbers {
		if n != 0 {
			mask |= 1 << i
		}
	}
	e.body = append(e.body, byte(v.Kind))
	e.body = binary.AppendVarint(e.body, v.At-last.At)
	e.body = binary.AppendUvarint(e.body, mask)
	for i, n := range numbers {
		if mask&(1<<i) != 0 {
			e.body = binary.AppendVarint(e.body, n)
		}
	}
}

// cursor reads numbers and fails at the first that is not there.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) uvarint() uint64 {
	n, size := binary.Uvarint(c.b)
	if size <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[size:]
	return n
}

func (c *cursor) varint() int64 {
	n, size := binary.Varint(c.b)
	if size <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[size:]
	return n
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.bad = true
		return 0
	}
	b := c.b[0]
	c.b = c.b[1:]
	return b
}

// errBlock is a block whose checksum is right and whose content is not: another version wrote it, or somebody by hand.
var errBlock = errors.New("a block that cannot be read")

// readBlock calls take with each event of a block, whose checksum has been looked at. body is what follows the header.
func readBlock(h header, body []byte, take func(*Event)) error {
	if uint32(len(body)) < h.filter {
		return errBlock
	}
	c := &cursor{b: body[h.filter:]}
	count := c.uvarint()
	if c.bad || count > uint64(len(c.b)) {
		return errBlock
	}
	texts := make([]string, 1, 1+count)
	for range count {
		n := c.uvarint()
		if c.bad || n > uint64(len(c.b)) {
			return errBlock
		}
		texts = append(texts, string(c.b[:n]))
		c.b = c.b[n:]
	}
	var last Event
	for range h.events {
		var v Event
		v.Kind = Kind(c.byte())
		v.At = last.At + c.varint()
		mask := c.uvarint()
		var n [12]int64
		for i := range n {
			if mask&(1<<i) != 0 {
				n[i] = c.varint()
			}
		}
		if c.bad || mask>>len(n) != 0 || n[3] < 0 || n[3] >= int64(len(texts)) || n[4] < 0 || n[4] >= int64(len(texts)) {
			return errBlock
		}
		v.Message, v.Conversation, v.User = last.Message+model.MessageID(n[0]), model.ConversationID(n[1]), model.UserID(n[2])
		v.Device, v.Connection = model.DeviceID(texts[n[3]]), texts[n[4]]
		v.After, v.Seq, v.Attempt, v.Count, v.Took, v.Batch, v.Waits = n[5], n[6], int32(n[7]), n[8], n[9], model.MessageID(n[10]), n[11] != 0
		last.At, last.Message = v.At, v.Message
		take(&v)
	}
	if len(c.b) != 0 {
		return errBlock
	}
	return nil
}

// checked says whether the bytes of a block are what was written. head is its header.
func checked(h header, head, body []byte) bool {
	sum := crc32.Checksum(head[12:headerBytes], castagnoli)
	return crc32.Update(sum, castagnoli, body) == h.checksum
}

// The filter is a Bloom filter of what events are about, a power of two of bytes: at least 8 bits an event, and four
// places each. A block that has not what is asked for passes in one of forty cases at most.
const filterPlaces = 4

func filterBytes(events int) uint32 {
	if events == 0 {
		return 0
	}
	return max(8, uint32(1)<<bits.Len(uint(events-1)))
}

// What an event is about: a message, or the positions in a conversation or in a user's mailbox.
func messageKey(id model.MessageID) uint64           { return mix(uint64(id)) }
func conversationKey(id model.ConversationID) uint64 { return mix(uint64(id) ^ 0x5bd1e995_00000001) }
func userKey(id model.UserID) uint64                 { return mix(uint64(id) ^ 0xa0761d64_00000001) }

func keyOf(v *Event) uint64 {
	switch {
	case v.Message != 0:
		return messageKey(v.Message)
	case v.Conversation != 0:
		return conversationKey(v.Conversation)
	}
	return userKey(v.User)
}

func add(filter []byte, key uint64) {
	mask := uint64(len(filter))*8 - 1
	for range filterPlaces {
		bit := key & mask
		filter[bit>>3] |= 1 << (bit & 7)
		key = bits.RotateLeft64(key, 16)
	}
}

func mayHave(filter []byte, key uint64) bool {
	if len(filter) == 0 {
		return false
	}
	mask := uint64(len(filter))*8 - 1
	for range filterPlaces {
		bit := key & mask
		if filter[bit>>3]&(1<<(bit&7)) == 0 {
			return false
		}
		key = bits.RotateLeft64(key, 16)
	}
	return true
}
