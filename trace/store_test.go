package trace

import (
	"bufio"
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ackbox/model"

	"github.com/google/go-cmp/cmp"
)

// start is the tests' first moment.
var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// rig is a store with a clock that only the test moves.
type rig struct {
	*Store
	t   testing.TB
	now atomic.Int64
	dir string
}

func newRig(t testing.TB, set func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.now.Store(start.UnixMicro())
	r.open(set)
	return r
}

func (r *rig) open(set func(*Options)) {
	r.t.Helper()
	o := Options{Dir: r.dir, Retention: time.Hour, Bytes: 64 << 20, Rate: 1_000_000, Node: func() model.NodeID { return 7 }, Clock: func() time.Time { return time.UnixMicro(r.now.Load()) }, Log: slog.New(slog.DiscardHandler)}
	if set != nil {
		set(&o)
	}
	s, err := Open(o)
	must(r.t, err)
	r.Store = s
	r.t.Cleanup(func() {
		if r.Store == s {
			must(r.t, s.Close())
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// id is a message id of a moment.
func (r *rig) id(counter int64) model.MessageID {
	return model.MessageID((r.now.Load()/1000-model.IDEpoch)<<(model.IDNodeBits+model.IDCounterBits) | 7<<model.IDCounterBits | counter)
}

func (r *rig) at() int64 { return r.now.Add(1) }

func (r *rig) find(q Query) Found {
	r.t.Helper()
	f, err := r.Find(r.t.Context(), q)
	must(r.t, err)
	return f
}

func (r *rig) files() []segment {
	r.t.Helper()
	list, err := segments(r.folder)
	must(r.t, err)
	return list
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

// TestFind answers what was put about a message, in order, and nothing that is about others.
func TestFind(t *testing.T) {
	r := newRig(t, nil)
	mine, other := r.id(1), r.id(2)
	want := []Event{
		{At: r.at(), Kind: Accepted, Message: mine, User: 11, Count: 2},
		{At: r.at(), Kind: Committed, Message: mine, Batch: other, Count: 17, Took: 1_234},
		{At: r.at(), Kind: Pushed, Message: mine, User: 12, Device: "phone", Connection: "ABC", Seq: 9, Attempt: 1, Waits: true},
		{At: r.at(), Kind: Behind, User: 12, Device: "phone", Connection: "ABC", After: 8, Seq: 300},
		{At: r.at(), Kind: AckedByPosition, User: 12, Device: "laptop", After: 0, Seq: 9},
		{At: r.at(), Kind: Read, Conversation: 5, User: 12, After: 3, Seq: 4},
	}
	others := []Event{
		{At: r.at(), Kind: Pushed, Message: other, User: 12, Device: "phone", Connection: "ABC", Seq: 10, Attempt: 1},
		{At: r.at(), Kind: Behind, User: 12, Device: "phone", After: 9, Seq: 300},
		{At: r.at(), Kind: Behind, User: 13, Device: "phone", After: 8, Seq: 300},
		{At: r.at(), Kind: Read, Conversation: 5, User: 12, After: 4, Seq: 5},
		{At: r.at(), Kind: Read, Conversation: 6, User: 12, After: 3, Seq: 4},
	}
	q := Query{Message: mine, Conversation: 5, ConversationSeq: 4, Seqs: map[model.UserID]int64{11: 2, 12: 9}, At: start.UnixMicro()}
	for _, v := range slices.Concat(others[:2], want[3:], others[2:], want[:3]) { // they come from many goroutines
		r.Put(&v)
	}
	f := r.find(q)
	same(t, "events", f.Events, want)
	same(t, "nodes", f.Nodes, []model.NodeID{7})
	same(t, "sampled and dropped", []any{f.Sampled, f.Dropped, f.More}, []any{true, int64(0), false})

	// Another process with the same folder finds them, and its own.
	must(t, r.Close())
	r.open(func(o *Options) { o.Node = func() model.NodeID { return 8 } })
	late := Event{At: r.at(), Kind: Acked, Message: mine, User: 12, Device: "phone", Seq: 9}
	r.Put(&late)
	f = r.find(q)
	same(t, "events after a restart", f.Events, append(want, late))
	same(t, "nodes of the events", f.By, []model.NodeID{7, 7, 7, 7, 7, 7, 8})
	same(t, "nodes after a restart", f.Nodes, []model.NodeID{7, 8})
	r.now.Add(time.Minute.Microseconds())
	r.Put(&Event{At: r.at(), Kind: Acked, Message: other})
	must(t, r.Close())
	r.open(func(o *Options) { o.Node = func() model.NodeID { return 9 } }) // comes after the message: says nothing of it
	same(t, "nodes of the message's time", r.find(q).Nodes, []model.NodeID{7, 8})
}

// TestTornTail: what a kill leaves half written costs the last block and nothing else.
func TestTornTail(t *testing.T) {
	r := newRig(t, nil)
	id := r.id(1)
	q := Query{Message: id, At: start.UnixMicro()}
	put := func(kind Kind) {
		r.Put(&Event{At: r.at(), Kind: kind, Message: id})
		must(t, r.Flush(t.Context()))
	}
	put(Accepted)
	first := r.files()[0].size
	put(Committed)
	path := r.files()[0].path
	must(t, r.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	for cut := first; cut < int64(len(whole)); cut++ {
		must(t, os.WriteFile(path, whole[:cut], 0o600))
		r.open(nil)
		f := r.find(q)
		if len(f.Events) != 1 || f.Events[0].Kind != Accepted {
			t.Fatalf("of %d bytes, cut at %d: got %d events", len(whole), cut, len(f.Events))
		}
		must(t, r.Close())
	}
	// One bit that is another: the block is not believed.
	for at := first + headerBytes; at < int64(len(whole)); at++ {
		bad := slices.Clone(whole)
		bad[at] ^= 4
		must(t, os.WriteFile(path, bad, 0o600))
		f := finder{q: q, keys: []uint64{messageKey(id)}}
		must(t, f.segment(path))
		if len(f.list) != 1 {
			t.Fatalf("with a bad bit in byte %d: got %d events", at, len(f.list))
		}
	}
	must(t, os.WriteFile(path, whole, 0o600))
	r.open(nil)
	put(Pushed) // goes into a file of its own
	same(t, "events", len(r.find(q).Events), 3)
	same(t, "files", len(r.files()), 2)
}

// TestBounds: neither bytes nor time are exceeded, and the oldest goes first.
func TestBounds(t *testing.T) {
	const most = 1 << 20
	r := newRig(t, func(o *Options) { o.Bytes, o.Retention = most, 10*time.Minute })
	ids := []model.MessageID{}
	size := func() (sum int64) {
		for _, f := range r.files() {
			sum += f.size
		}
		return sum
	}
	for n := range 128 {
		r.now.Add(time.Second.Microseconds())
		ids = append(ids, r.id(int64(n)))
		for i := range 1_000 {
			r.Put(&Event{At: r.at(), Kind: Pushed, Message: ids[n], User: model.UserID(i * 7919), Device: "phone", Seq: int64(i)})
		}
		must(t, r.Flush(t.Context()))
		if got := size(); got > most || got != r.Stats().Kept {
			t.Fatalf("%d bytes after %d blocks, %d as the store says, want at most %d", got, n+1, r.Stats().Kept, most)
		}
	}
	if kept := size(); kept < most/2 {
		t.Errorf("only %d of %d bytes are used", kept, most)
	}
	same(t, "the newest", len(r.find(Query{Message: ids[127], At: start.UnixMicro()}).Events), 1_000)
	f := r.find(Query{Message: ids[0], At: start.UnixMicro()})
	if len(f.Events) != 0 || !f.Cut {
		t.Errorf("the oldest: %d events, cut %v", len(f.Events), f.Cut)
	}
	same(t, "cut of the newest", r.find(Query{Message: ids[127], At: r.now.Load()}).Cut, false)
	r.now.Add(11 * time.Minute.Microseconds())
	must(t, r.Flush(t.Context()))
	same(t, "files after the retention", len(r.files()), 0)
	same(t, "bytes after the retention", r.Stats().Kept, int64(0))
}

// TestShare: above the rate a share is followed, of the same messages on all nodes, and it is told.
func TestShare(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Rate = 100 })
	quiet := newRig(t, func(o *Options) { o.Rate = 1_000 })
	second := func() (ids []model.MessageID) {
		for range 10 {
			r.now.Add(100 * time.Millisecond.Microseconds())
			quiet.now.Store(r.now.Load())
			for i := range int64(1_000) {
				id := r.id(i)
				ids = append(ids, id)
				for _, s := range []*rig{r, quiet} {
					if s.Takes(id) {
						s.Put(&Event{At: s.now.Load(), Kind: Pushed, Message: id})
					}
				}
			}
			must(t, r.Flush(t.Context()))
			must(t, quiet.Flush(t.Context()))
		}
		return ids
	}
	before := r.id(1)
	second()
	ids := second()
	share := r.Stats().Share
	if share < 1.0/32 || share > 1.0/8 { // 10,000 events a second where 800 are wanted
		t.Fatalf("the share is %v", share)
	}
	busy, both, wide := 0, 0, 0
	in, out := model.MessageID(0), model.MessageID(0)
	for _, id := range ids {
		if quiet.Takes(id) {
			wide++
		}
		if !r.Takes(id) {
			out = id
			continue
		}
		in = id
		busy++
		if quiet.Takes(id) {
			both++
		}
	}
	if busy == 0 || both != busy || wide <= busy || float64(busy) > 2*share*float64(len(ids)) {
		t.Errorf("of %d the busy node follows %d, the quiet one %d, %d of them the same", len(ids), busy, wide, both)
	}
	if !r.Takes(before) {
		t.Error("what was made before the share changed is not followed any more")
	}
	at := r.now.Load()
	same(t, "sampled", []bool{r.find(Query{Message: in, At: at}).Sampled, r.find(Query{Message: out, At: at}).Sampled}, []bool{true, false})
	for range 200 { // quiet again
		r.now.Add(time.Second.Microseconds())
		must(t, r.Flush(t.Context()))
	}
	same(t, "the share when it is quiet", r.Stats().Share, 1.0)
}

// TestOff takes nothing and finds nothing.
func TestOff(t *testing.T) {
	s := Off()
	if s.On() || s.Takes(1<<40) || s.TakesRange(1, 2) {
		t.Error("takes something")
	}
	f, err := s.Find(t.Context(), Query{Message: 1})
	must(t, err)
	same(t, "found", f, Found{})
	must(t, s.Close())
}

// TestFull drops what does not fit, says how much, and goes on.
func TestFull(t *testing.T) {
	r := newRig(t, nil)
	id := r.id(1)
	at := r.now.Load()
	r.mu.Lock() // the goroutine can write one block, and not go on
	const puts = 3 * shardEvents
	for range puts {
		r.Put(&Event{At: at, Kind: Pushed, Message: id})
	}
	r.mu.Unlock()
	must(t, r.Flush(t.Context()))
	stats := r.Stats()
	if stats.Dropped == 0 || stats.Events+stats.Dropped != puts {
		t.Fatalf("%d written and %d dropped of %d", stats.Events, stats.Dropped, puts)
	}
	r.Put(&Event{At: at, Kind: Acked, Message: id}) // the block that tells of the drops may be this one
	f := r.find(Query{Message: id, At: at})
	same(t, "dropped", f.Dropped, stats.Dropped)
	same(t, "events", int64(len(f.Events)), min(stats.Events+1, MaxEvents))
}

// TestTwoProcesses have folders of their own, and the next process takes over what one has left.
func TestTwoProcesses(t *testing.T) {
	a := newRig(t, nil)
	b := &rig{t: t, dir: a.dir}
	b.now.Store(start.UnixMicro())
	b.open(nil)
	if a.folder == b.folder {
		t.Fatal("both write into", a.folder)
	}
	id := a.id(1)
	a.Put(&Event{At: 1, Kind: Accepted, Message: id})
	b.Put(&Event{At: 2, Kind: Pushed, Message: id})
	q := Query{Message: id}
	same(t, "events of the first", len(a.find(q).Events), 1)
	must(t, a.Close())
	must(t, b.Close())
	a.open(nil)
	same(t, "events of the next", len(a.find(q).Events), 2)
	left, err := segments(filepath.Join(a.dir, "1"))
	must(t, err)
	same(t, "left behind", len(left), 0)
}

// TestDiskFull: a failed write is counted, and what comes after it is found.
func TestDiskFull(t *testing.T) {
	r := newRig(t, nil)
	id := r.id(1)
	r.Put(&Event{At: r.at(), Kind: Accepted, Message: id})
	must(t, r.Flush(t.Context()))
	must(t, r.Store.file.Close()) // any write fails now
	r.Put(&Event{At: r.at(), Kind: Committed, Message: id})
	if err := r.Flush(t.Context()); err == nil {
		t.Fatal("a failed write is no error")
	}
	r.Put(&Event{At: r.at(), Kind: Pushed, Message: id})
	f := r.find(Query{Message: id, At: start.UnixMicro()})
	same(t, "events", len(f.Events), 2)
	same(t, "dropped", []int64{f.Dropped, r.Stats().Dropped}, []int64{1, 1})
}

// TestManyAtOnce puts and reads from many goroutines.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t, nil)
	id := r.id(1)
	const each = 200
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range each {
				r.Put(&Event{At: int64(g*each + i), Kind: Pushed, Message: id, User: model.UserID(g + 1)})
				if i%50 == 0 {
					if _, err := r.Find(t.Context(), Query{Message: id}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	f := r.find(Query{Message: id})
	same(t, "events", len(f.Events), 8*each)
	for i, v := range f.Events {
		if v.At != int64(i) {
			t.Fatalf("event %d is of %d", i, v.At)
		}
	}
}

// FuzzBlocks: whatever is in a file, the reader ends without harm, and believes only what is whole.
func FuzzBlocks(f *testing.F) {
	var e encoder
	one := slices.Clone(e.block([]Event{{At: 5, Kind: Pushed, Message: 9, User: 3, Device: "phone", Connection: "X", Seq: 4, Attempt: 2}, {At: 6, Kind: Read, Conversation: 2, User: 3, After: 1, Seq: 8}}, header{node: 7, bits: 3}))
	f.Add(one)
	f.Add(slices.Concat(one, one[:len(one)-3]))
	f.Add(e.block(nil, header{dropped: 4}))
	f.Fuzz(func(t *testing.T, text []byte) {
		g := finder{q: Query{Message: 9, Conversation: 2, ConversationSeq: 5}, keys: []uint64{messageKey(9), conversationKey(2)}}
		file := bytes.NewReader(text)
		must(t, g.blocks(&blockReader{from: file, r: bufio.NewReaderSize(file, 64)}))
		if len(g.list) > len(text) {
			t.Fatalf("%d events in %d bytes", len(g.list), len(text))
		}
		// Past the checksum too.
		if h, err := readHeader(text); err == nil && int(h.length) == len(text)-headerBytes {
			n := 0
			if readBlock(h, text[headerBytes:], func(*Event) { n++ }) == nil && n != int(h.events) {
				t.Fatalf("%d events, the header says %d", n, h.events)
			}
		}
	})
}

// BenchmarkPut is what an event costs the path that tells of it.
func BenchmarkPut(b *testing.B) {
	r := newRig(b, func(o *Options) { o.Clock = time.Now })
	b.ReportAllocs()
	v := Event{Kind: Pushed, Message: r.id(1), User: 12, Device: "phone", Connection: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Seq: 9, Attempt: 1}
	b.Run("kept", func(b *testing.B) {
		for b.Loop() {
			if r.Takes(v.Message) {
				v.At++
				v.User++
				r.Put(&v)
			}
		}
	})
	b.Run("not in the sample", func(b *testing.B) {
		r.messages.levels.Store(&[]level{{bits: maxBits, mask: 0}})
		for b.Loop() {
			if r.Takes(v.Message) {
				r.Put(&v)
			}
		}
	})
	off := Off()
	b.Run("off", func(b *testing.B) {
		for b.Loop() {
			if off.Takes(v.Message) {
				off.Put(&v)
			}
		}
	})
}

// BenchmarkWrite is what an event costs the goroutine that writes, and how many bytes it takes.
func BenchmarkWrite(b *testing.B) {
	var e encoder
	list := make([]Event, 1_000)
	for i := range list {
		id := model.MessageID(int64(i/8)*4_200_000 + 1<<58)
		list[i] = Event{At: int64(i) * 250, Kind: Pushed, Message: id, User: model.UserID(mix(uint64(i%200)) >> 1), Device: "phone", Connection: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i%26:], Seq: int64(i), Attempt: 1}
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n = len(e.block(list, header{}))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/event")
	b.ReportMetric(float64(n)/float64(len(list)), "bytes/event")
}

// BenchmarkFind reads a store of 64 MiB for a message that is in one of its blocks.
func BenchmarkFind(b *testing.B) {
	r := newRig(b, nil)
	id := r.id(4_000)
	for n := range 400 {
		r.now.Add(500_000)
		for i := range int64(3_000) {
			r.Put(&Event{At: r.at(), Kind: Pushed, Message: r.id(i / 8), User: model.UserID(mix(uint64(i+int64(n))) >> 1), Device: "phone", Connection: "ABC", Seq: i})
		}
		if n == 200 {
			r.Put(&Event{At: r.at(), Kind: Acked, Message: id})
		}
		must(b, r.Flush(b.Context()))
	}
	b.ReportMetric(float64(r.Stats().Kept), "bytes")
	for b.Loop() {
		if f := r.find(Query{Message: id, Seqs: map[model.UserID]int64{5: 1, 6: 1}, At: start.UnixMicro()}); len(f.Events) != 1 {
			b.Fatal(len(f.Events), "events")
		}
	}
}
