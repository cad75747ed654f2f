package trace

import (
	"math"
	"sync/atomic"

	"ackbox/model"
)

// levelMemory is how many changes of the level are remembered: what happens to a message later is
// recorded by the level of the time when it was made.
const levelMemory = 32

// maxBits bounds how small a share is followed: one in 2^16.
const maxBits = 16

// level is how many are followed: of hashes those up to mask, which is a share of 2^-bits. Shares are nested: who
// is followed at a small one is followed at every larger one, so a busy node and a quiet one agree about the
// messages of the busy one's sample.
type level struct {
	since int64 // of ids, in milliseconds of their time
	bits  uint8
	mask  uint64
}

func levelOf(bits uint8, since int64) level {
	return level{since: since, bits: bits, mask: math.MaxUint64 >> bits}
}

// gauge chooses the level by what has been recorded, so that about limit events a second are. Only the
// store's goroutine changes it; taken is told by all.
type gauge struct {
	limit  float64 // events a second
	levels atomic.Pointer[[]level]
	calm   float64 // seconds for which a larger share would have been within the limit
}

// steady is for how many seconds a larger share must have been within the limit before it is taken.
const steady = 5

func (g *gauge) start(limit float64) {
	g.limit = limit
	g.levels.Store(&[]level{levelOf(0, math.MinInt64)})
}

func (g *gauge) bits() uint8 { return (*g.levels.Load())[0].bits }

// adapt takes how many events the last seconds had. Ids made from now on (in their own time) follow what it says.
func (g *gauge) adapt(events int, seconds float64, now int64) {
	list := *g.levels.Load()
	bits := list[0].bits
	rate := float64(events) / seconds
	switch {
	case rate > g.limit:
		for bits < maxBits && rate > g.limit {
			bits++
			rate /= 2
		}
		g.calm = 0
	case bits > 0 && 2*rate <= 0.8*g.limit:
		if g.calm += seconds; g.calm >= steady {
			bits--
			g.calm = 0
		}
	default:
		g.calm = 0
	}
	if bits == list[0].bits {
		return
	}
	fresh := append(make([]level, 0, levelMemory), levelOf(bits, now))
	fresh = append(fresh, list[:min(len(list), levelMemory-1)]...)
	g.levels.Store(&fresh)
}

// mix spreads a number over 64 bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// idTime is the time part of an id.
func idTime(id model.MessageID) int64 { return int64(id) >> (model.IDNodeBits + model.IDCounterBits) }
