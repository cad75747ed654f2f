package bench

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ledger is one sender's account of a run: what the service accepted (written by the sender) and what the recipient was
// shown (written by the recipient's reader). The two sets are compared only after both have stopped; the two counts can
// be read at any time.
type ledger struct {
	accepted, shown           bitset
	acceptedCount, shownCount atomic.Int64
	racing                    atomic.Bool // a send's outcome was unknown when the next was sent: no order is promised
}

func (l *ledger) accept(index int, _ []byte) {
	if l.accepted.add(index) {
		l.acceptedCount.Add(1)
	}
}

// show returns false when the recipient had this message already.
func (l *ledger) show(index int) bool {
	if !l.shown.add(index) {
		return false
	}
	l.shownCount.Add(1)
	return true
}

func (l *ledger) race() { l.racing.Store(true) }

func (l *ledger) settled() bool { return l.shownCount.Load() >= l.acceptedCount.Load() }

func (l *ledger) lost() int64 { return l.accepted.without(&l.shown) }

// bitset is a set of small non-negative integers, bounded by maxMessagesASender.
type bitset struct{ words []uint64 }

// add returns false when the set had i already.
func (s *bitset) add(i int) bool {
	word, bit := i/64, uint64(1)<<(i%64)
	for word >= len(s.words) {
		s.words = append(s.words, 0)
	}
	had := s.words[word]&bit != 0
	s.words[word] |= bit
	return !had
}

// without counts the members that the other set lacks.
func (s *bitset) without(other *bitset) int64 {
	var n int
	for i, w := range s.words {
		if i < len(other.words) {
			w &^= other.words[i]
		}
		n += bits.OnesCount64(w)
	}
	return int64(n)
}

// maxTallyNames bounds how many different errors are told apart; the rest is counted as "other".
const maxTallyNames = 64

// tally counts rare things by name: errors by status and code, closed sockets by close code.
type tally struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int64)
	}
	if _, known := t.counts[name]; !known && len(t.counts) >= maxTallyNames {
		name = "other"
	}
	t.counts[name]++
}

func (t *tally) snapshot() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

// tallyText lists counts in the order of their names.
func tallyText(counts map[string]int64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %d", name, counts[name])
	}
	return b.String()
}
