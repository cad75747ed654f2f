package trace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
)

// Bounds of what waits to be written.
const (
	shards      = 8
	shardEvents = 2_048 // 0.3 MB each, twice
	// writeEvery is how long an event waits for the file: what a kill takes at most.
	writeEvery = 500 * time.Millisecond
	// EventsAMessage is how many events a second a rate of one message a second allows: those of a
	// message to one recipient with one device on either side. One to a group counts for more.
	EventsAMessage = 8
	// adaptEvery is the least time over which a rate is taken.
	adaptEvery = 100 * time.Millisecond
	// pieces is into how many segments the bytes, and the time, are cut: what is removed goes a piece at a time.
	pieces = 16
)

// Options are the settings of a Store.
type Options struct {
	Dir       string        // of all processes that share a data folder
	Retention time.Duration // how long a segment is kept after its last write
	Bytes     int64         // of all segments together, at most
	Rate      int           // messages a second up to which all are followed
	Node      func() model.NodeID
	Clock     func() time.Time
	Log       *slog.Logger
}

// Stats are what a Store has done so far.
type Stats struct {
	Events, Dropped, Written int64 // Written in bytes
	Kept                     int64 // bytes in files now
	Share                    float64
}

// Store takes events and writes them. The zero value is off: it takes nothing and finds nothing.
type Store struct {
	opts     Options
	messages gauge
	ranges   gauge
	shards   [shards]shard
	wake     chan struct{}
	flushes  chan chan error
	process  int64
	folder   string
	held     *os.File
	cancel   context.CancelFunc
	done     sync.WaitGroup
	closing  sync.Once

	events, dropped, written, kept atomic.Int64
	removed                        atomic.Int64 // the last moment that is in no segment any more, Unix microseconds

	// Of the goroutine alone.
	file    *os.File
	current segment
	begun   time.Time // of the current segment
	sealed  []segment // for readers under mu
	failing bool
	missed  int64 // dropped since the last block
	adapted time.Time
	seen    int // events since then
	seenR   int // events of ranges since then
	encoder encoder

	mu sync.Mutex // sealed and current, which readers copy
}

// shard is a part of the buffer. Its lock is held for a copy.
type shard struct {
	mu    sync.Mutex
	list  []Event
	spare []Event // of the goroutine, while it is not list
	lost  int64
	_     [64]byte // shards do not share a cache line
}

// Off is a store that takes nothing.
func Off() *Store { return &Store{} }

// Open takes a folder and starts the goroutine; Close ends it.
func Open(o Options) (*Store, error) {
	s := &Store{opts: o, wake: make(chan struct{}, 1), flushes: make(chan chan error), process: rand.Int64()}
	var err error
	if s.folder, s.held, err = take(o.Dir); err != nil {
		return nil, err
	}
	if s.sealed, err = segments(s.folder); err != nil {
		return nil, errors.Join(err, s.held.Close())
	}
	for i := range s.sealed {
		s.kept.Add(s.sealed[i].size)
	}
	s.adapted = o.Clock()
	s.messages.start(float64(o.Rate * EventsAMessage))
	s.ranges.start(float64(o.Rate * EventsAMessage / 2))
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { s.run(ctx) })
	return s, nil
}

// Close writes what waits and ends. Afterwards nothing more is written.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		if s.cancel == nil { // off
			return
		}
		s.cancel()
		s.done.Wait()
		err = s.held.Close()
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
		}
	})
	return err
}

// On says whether it takes anything.
func (s *Store) On() bool { return s.messages.levels.Load() != nil }

// Takes says whether a message is followed. All nodes choose by the same hash.
func (s *Store) Takes(id model.MessageID) bool {
	levels := s.messages.levels.Load()
	if levels == nil || id == 0 {
		return false
	}
	list := *levels
	at, i := idTime(id), 0
	for i < len(list)-1 && at < list[i].since {
		i++
	}
	return mix(uint64(id)) <= list[i].mask
}

// TakesRange says whether a change of a position is kept: of whom, and up to where.
func (s *Store) TakesRange(whose, upTo int64) bool {
	levels := s.ranges.levels.Load()
	return levels != nil && mix(uint64(whose)*0x9e3779b97f4a7c15+uint64(upTo)) <= (*levels)[0].mask
}

// Put takes an event of something for which Takes or TakesRange said yes. It never waits; when there is no room the
// event is dropped and counted.
func (s *Store) Put(v *Event) {
	sh := &s.shards[mix(uint64(v.Message)^uint64(v.User))>>61]
	sh.mu.Lock()
	if len(sh.list) == shardEvents {
		sh.lost++
		sh.mu.Unlock()
		return
	}
	sh.list = append(sh.list, *v) // grows to shardEvents and is used again
	half := len(sh.list) == shardEvents/2
	sh.mu.Unlock()
	if half {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Flush writes what has been put and returns when it is in the file.
func (s *Store) Flush(ctx context.Context) error {
	if !s.On() {
		return nil
	}
	answer := make(chan error, 1)
	select {
	case s.flushes <- answer:
	case <-ctx.Done():
		return fmt.Errorf("write the trace: %w", ctx.Err())
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("write the trace: %w", ctx.Err())
	}
}

// Stats reads the figures.
func (s *Store) Stats() Stats {
	stats := Stats{Events: s.events.Load(), Dropped: s.dropped.Load(), Written: s.written.Load(), Kept: s.kept.Load()}
	if s.On() {
		stats.Share = 1 / float64(int64(1)<<s.messages.bits())
	}
	return stats
}

func (s *Store) run(ctx context.Context) {
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		var answer chan error
		select {
		case <-ctx.Done():
			s.note(s.write())
			return
		case <-ticker.C:
		case <-s.wake:
		case answer = <-s.flushes:
		}
		err := s.write()
		s.note(err)
		if answer != nil {
			answer <- err
		}
	}
}

// note logs the first of a row of failures, and their end.
func (s *Store) note(err error) {
	if failing := err != nil; failing != s.failing {
		s.failing = failing
		if failing {
			s.opts.Log.Warn("the trace cannot be written; what happens now is not in it", "error", err)
		} else {
			s.opts.Log.Info("the trace is written again")
		}
	}
}

// write takes what has been put, block by block.
func (s *Store) write() error {
	var errs []error
	now := s.opts.Clock()
	bits, rangeBits := s.messages.bits(), s.ranges.bits()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		list := sh.list
		sh.list, sh.spare = sh.spare[:0], nil
		lost := sh.lost
		sh.lost = 0
		sh.mu.Unlock()
		s.dropped.Add(lost)
		s.missed += lost
		for i := range list {
			if list[i].Message == 0 {
				s.seenR++
			}
		}
		s.seen += len(list)
		if len(list) > 0 {
			if err := s.append(list, header{bits: bits, rangeBits: rangeBits}, now); err != nil {
				s.dropped.Add(int64(len(list)))
				s.missed += int64(len(list))
				errs = append(errs, err)
			}
		}
		clear(list) // the texts that it names
		sh.mu.Lock()
		sh.spare = list[:0]
		sh.mu.Unlock()
	}
	s.adapt(now)
	return errors.Join(append(errs, s.tidy(now))...)
}

func (s *Store) adapt(now time.Time) {
	passed := now.Sub(s.adapted)
	if passed < adaptEvery {
		return
	}
	since := now.UnixMilli() - model.IDEpoch
	s.messages.adapt(s.seen-s.seenR, passed.Seconds(), since)
	s.ranges.adapt(s.seenR, passed.Seconds(), since)
	s.adapted, s.seen, s.seenR = now, 0, 0
}

// append writes one block.
func (s *Store) append(list []Event, h header, now time.Time) error {
	h.node, h.dropped = uint16(s.opts.Node()), uint32(min(s.missed, 1<<31))
	h.from, h.to = now.UnixMicro(), now.UnixMicro()
	block := s.encoder.block(list, h)
	if s.file != nil && (s.current.size+int64(len(block)) > s.opts.Bytes/pieces || now.Sub(s.begun) > s.opts.Retention/pieces) {
		s.seal()
	}
	if err := s.room(int64(len(block))); err != nil {
		return err
	}
	if s.file == nil {
		path := filepath.Join(s.folder, segmentName(now, s.process))
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("segment of the trace: %w", err)
		}
		s.mu.Lock()
		s.file, s.current, s.begun = file, segment{path: path, last: now}, now
		s.mu.Unlock()
	}
	n, err := s.file.Write(block)
	if err != nil { // a full disk: what is half written would end the segment for readers
		if truncateErr := s.file.Truncate(s.current.size); truncateErr != nil {
			s.grown(int64(n), now)
			s.seal()
			err = errors.Join(err, truncateErr)
		}
		return fmt.Errorf("write the trace: %w", err)
	}
	s.grown(int64(n), now)
	s.written.Add(int64(n))
	s.missed = 0
	s.events.Add(int64(len(list)))
	return nil
}

func (s *Store) grown(n int64, now time.Time) {
	s.mu.Lock()
	s.current.size += n
	s.current.last = now
	s.mu.Unlock()
	s.kept.Add(n)
}

// seal ends the current segment.
func (s *Store) seal() {
	if s.file == nil {
		return
	}
	if err := s.file.Close(); err != nil {
		s.opts.Log.Debug("closing a segment of the trace", "error", err)
	}
	s.mu.Lock()
	s.file = nil
	s.sealed = append(s.sealed, s.current)
	s.current = segment{}
	s.mu.Unlock()
}

// room removes the oldest segments until there is room for n bytes.
func (s *Store) room(n int64) error {
	for s.kept.Load()+n > s.opts.Bytes {
		if len(s.sealed) == 0 {
			if s.file == nil {
				return fmt.Errorf("a block of %d bytes is more than the trace may take", n)
			}
			s.seal()
		}
		if err := s.remove(); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes what is older than the retention.
func (s *Store) tidy(now time.Time) error {
	if s.file != nil && now.Sub(s.current.last) > s.opts.Retention {
		s.seal()
	}
	for len(s.sealed) > 0 && now.Sub(s.sealed[0].last) > s.opts.Retention {
		if err := s.remove(); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the oldest segment that is not written to.
func (s *Store) remove() error {
	oldest := s.sealed[0]
	if err := os.Remove(oldest.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a segment of the trace: %w", err)
	}
	s.mu.Lock()
	s.sealed = append(s.sealed[:0:0], s.sealed[1:]...)
	s.mu.Unlock()
	s.kept.Add(-oldest.size)
	s.removed.Store(max(s.removed.Load(), oldest.last.UnixMicro()))
	return nil
}
