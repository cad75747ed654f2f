package service

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ackbox/model"
)

// Revocations is what this node knows of ended families and banned accounts, for
// as long as an access token of theirs could still be alive. It is filled by what
// happens here, by what other nodes tell, and by reading the store again and again:
// a lost message delays a revocation by one reading. Its size is bounded by the
// logouts and bans of one access token's life.
type Revocations struct {
	mu       sync.RWMutex
	families map[model.FamilyID]time.Time // until when to remember
	banned   map[model.UserID]time.Time
	size     atomic.Int64 // 0 lets a request pass without the lock
}

func newRevocations() *Revocations {
	return &Revocations{families: map[model.FamilyID]time.Time{}, banned: map[model.UserID]time.Time{}}
}

// check says which code, if any, shuts the bearer of these claims out.
func (r *Revocations) check(c Claims) error {
	if r.size.Load() == 0 {
		return nil
	}
	r.mu.RLock()
	_, banned := r.banned[c.UserID]
	_, revoked := r.families[c.FamilyID]
	r.mu.RUnlock()
	switch {
	case banned:
		return errBanned()
	case revoked:
		return model.NewError(model.CodeTokenRevoked, "the session has ended")
	}
	return nil
}

// revoke remembers an ended family and says whether that is news.
func (r *Revocations) revoke(id model.FamilyID, until time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.families[id]
	r.families[id] = until
	r.count()
	return !known
}

func (r *Revocations) unrevoke(id model.FamilyID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.families, id)
	r.count()
}

// ban remembers a banned account and says whether that is news.
func (r *Revocations) ban(id model.UserID, until time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.banned[id]
	r.banned[id] = until
	r.count()
	return !known
}

func (r *Revocations) unban(id model.UserID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.banned, id)
	r.count()
}

// bans lists the accounts that are remembered as banned.
func (r *Revocations) bans() []model.UserID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Keys(r.banned))
}

// forget drops what no living access token can bear.
func (r *Revocations) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, until := range r.families {
		if until.Before(now) {
			delete(r.families, id)
		}
	}
	for id, until := range r.banned {
		if until.Before(now) {
			delete(r.banned, id)
		}
	}
	r.count()
}

func (r *Revocations) count() { r.size.Store(int64(len(r.families) + len(r.banned))) }

func errBanned() error { return model.NewError(model.CodeBanned, "this account is banned") }
