package trace

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"ackbox/model"
)

// Bounds of a search.
const (
	// MaxUsers is for how many mailboxes a search can look for positions.
	MaxUsers = 500
	// MaxEvents is how many events a search answers at most.
	MaxEvents = 5_000
)

// Query asks for what happened to one message.
type Query struct {
	Message         model.MessageID        `json:"message"`
	Conversation    model.ConversationID   `json:"conversation"`
	ConversationSeq int64                  `json:"conversation_seq"`
	Seqs            map[model.UserID]int64 `json:"seqs,omitempty"` // where it is in mailboxes: at most MaxUsers
	At              int64                  `json:"at"`             // when it was made, Unix microseconds
}

// Found is what one node's store has.
type Found struct {
	Events  []Event        `json:"events,omitempty"` // by time
	By      []model.NodeID `json:"by,omitempty"`     // of each event: the node that it happened on
	Nodes   []model.NodeID `json:"nodes,omitempty"`  // those that had written something shortly after the message was made, or before
	On      bool           `json:"on"`               // there is a trace
	Sampled bool           `json:"sampled"`          // whether the message was followed when it was made, as far as what was written then says
	Dropped int64          `json:"dropped,omitzero"` // events of anything that were dropped since
	Cut     bool           `json:"cut,omitzero"`     // what was written since may have been removed for its size or age
	More    bool           `json:"more,omitzero"`    // there are more than MaxEvents
}

// Find reads what is kept of a message. It costs a read of all headers since, and of the blocks whose filters let the
// message, its conversation or its readers pass.
func (s *Store) Find(ctx context.Context, q Query) (Found, error) {
	if !s.On() {
		return Found{}, nil
	}
	if err := s.Flush(ctx); err != nil {
		return Found{}, err
	}
	s.mu.Lock()
	list := slices.Clone(s.sealed)
	if s.current.path != "" {
		list = append(list, s.current)
	}
	s.mu.Unlock()
	f := finder{q: q, keys: []uint64{messageKey(q.Message), conversationKey(q.Conversation)}, found: Found{On: true, Sampled: true, Cut: s.removed.Load() >= q.At}}
	for user := range q.Seqs {
		f.keys = append(f.keys, userKey(user))
	}
	for _, seg := range list {
		if err := ctx.Err(); err != nil {
			return Found{}, fmt.Errorf("read the trace: %w", err)
		}
		if seg.last.UnixMicro() < q.since() {
			continue
		}
		if err := f.segment(seg.path); err != nil && !errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return Found{}, err
		}
	}
	f.sort()
	return f.found, nil
}

// early is how much older than a message its events can be: clocks of nodes differ a little.
const early = 10 * time.Second

func (q *Query) since() int64 { return q.At - early.Microseconds() }

// around is how near to a message's time a block was written whose share was in force then.
const around = 2 * time.Second

type found struct {
	Event
	node model.NodeID
}

type finder struct {
	q     Query
	keys  []uint64
	list  []found
	found Found
	body  []byte
}

func (f *finder) segment(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("segment of the trace: %w", err)
	}
	return errors.Join(f.blocks(&blockReader{from: file, r: bufio.NewReaderSize(file, 64<<10)}), file.Close())
}

// blockReader reads a file without what is skipped.
type blockReader struct {
	from io.ReadSeeker
	r    *bufio.Reader
}

func (b *blockReader) skip(n int64) error {
	if n <= int64(b.r.Buffered()) {
		_, err := b.r.Discard(int(n))
		return err
	}
	_, err := b.from.Seek(n-int64(b.r.Buffered()), io.SeekCurrent)
	b.r.Reset(b.from)
	return err
}

// blocks reads up to the end, or what was half written.
func (f *finder) blocks(r *blockReader) error {
	var head [headerBytes]byte
	for {
		if _, err := io.ReadFull(r.r, head[:]); err != nil {
			return ended(err)
		}
		h, err := readHeader(head[:])
		if err != nil {
			return nil //nolint:nilerr // half written, or not ours: the end
		}
		if i, known := slices.BinarySearch(f.found.Nodes, model.NodeID(h.node)); !known && h.from <= f.q.At+around.Microseconds() {
			f.found.Nodes = slices.Insert(f.found.Nodes, i, model.NodeID(h.node))
		}
		if h.to < f.q.since() {
			if err := r.skip(int64(h.length)); err != nil {
				return ended(err)
			}
			continue
		}
		if more, err := f.block(h, head[:], r); err != nil || !more {
			return err
		}
	}
}

// ended is nil for the end of a file, in the middle of something too.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("read the trace: %w", err)
}

func (f *finder) block(h header, head []byte, r *blockReader) (more bool, err error) {
	f.body = slices.Grow(f.body[:0], int(h.filter))[:h.filter]
	if _, err := io.ReadFull(r.r, f.body); err != nil {
		return false, ended(err)
	}
	if slices.ContainsFunc(f.keys, func(key uint64) bool { return mayHave(f.body, key) }) {
		f.body = slices.Grow(f.body, int(h.length-h.filter))[:h.length]
		if _, err := io.ReadFull(r.r, f.body[h.filter:]); err != nil {
			return false, ended(err)
		}
		if !checked(h, head, f.body) {
			return false, nil
		}
		f.events(h)
	} else if err := r.skip(int64(h.length - h.filter)); err != nil {
		return false, ended(err)
	}
	f.found.Dropped += int64(h.dropped)
	then := h.from <= f.q.At+around.Microseconds() && h.to >= f.q.At-around.Microseconds()
	if then && mix(uint64(f.q.Message)) > levelOf(h.bits, 0).mask {
		f.found.Sampled = false
	}
	return true, nil
}

// events takes what is about the message out of a block. One that another version wrote has nothing for us; the next may.
func (f *finder) events(h header) {
	before, node := len(f.list), model.NodeID(h.node)
	err := readBlock(h, f.body, func(v *Event) {
		if f.about(v) {
			f.list = append(f.list, found{*v, node})
		}
	})
	if err != nil {
		f.list = f.list[:before]
	}
	if len(f.list) > 2*MaxEvents { // of a message that never ends: the first ones say enough
		f.sort()
		f.list = f.list[:MaxEvents]
		f.found.More = true
	}
}

// about says whether an event is about the message.
func (f *finder) about(v *Event) bool {
	switch {
	case v.Message != 0:
		return v.Message == f.q.Message
	case v.Conversation != 0:
		return v.Conversation == f.q.Conversation && v.After < f.q.ConversationSeq && f.q.ConversationSeq <= v.Seq
	}
	seq, mine := f.q.Seqs[v.User]
	return mine && v.After < seq && seq <= v.Seq
}

func (f *finder) sort() {
	slices.SortStableFunc(f.list, func(a, b found) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Kind, b.Kind)) })
	f.found.More = f.found.More || len(f.list) > MaxEvents
	list := f.list[:min(len(f.list), MaxEvents)]
	f.found.Events, f.found.By = make([]Event, len(list)), make([]model.NodeID, len(list))
	for i, v := range list {
		f.found.Events[i], f.found.By[i] = v.Event, v.node
	}
}
