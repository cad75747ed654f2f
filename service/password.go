package service

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"ackbox/model"
)

// PasswordMemory is what one hash takes, in KiB, unless an operator sets it: with two passes
// and one lane it is OWASP's second choice for argon2id.
const PasswordMemory = 19 * 1024

// maxHashWaiters bounds the line before the cores: at 15 ms a hash it is some ten
// seconds long on two cores, after which a client has given up anyway.
const maxHashWaiters = 1024

// passwords hashes and compares, as many at a time as there are cores: each hash
// takes its memory and one core.
type passwords struct {
	params  *argon2id.Params
	slots   chan struct{}
	waiting atomic.Int64
	dummy   string // the hash that a login of nobody is compared with
}

// newPasswords makes hashes of memory KiB each.
func newPasswords(memory uint32) (*passwords, error) {
	params := &argon2id.Params{Memory: memory, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	dummy, err := argon2id.CreateHash("a password that nobody has", params)
	if err != nil {
		return nil, fmt.Errorf("hash a password: %w", err)
	}
	return &passwords{params: params, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), dummy: dummy}, nil
}

// checkPassword says what is wrong with a new password; its value is never repeated.
func checkPassword(field, password string) error {
	if n := utf8.RuneCountInString(password); n < model.MinPassword || n > model.MaxPassword || !utf8.ValidString(password) {
		return model.Invalid(field, fmt.Sprintf("expected %d to %d characters", model.MinPassword, model.MaxPassword), nil)
	}
	return nil
}

func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	hash, err := argon2id.CreateHash(password, p.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

func (p *passwords) matches(ctx context.Context, password, hash string) (bool, error) {
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return ok, nil
}

// outdated says whether a hash costs other than those that are made now: it is to be made again
// when its password is known, which is at a login.
func (p *passwords) outdated(hash string) (bool, error) {
	params, _, _, err := argon2id.DecodeHash(hash)
	if err != nil {
		return false, fmt.Errorf("read a password's hash: %w", err)
	}
	return params.Memory != p.params.Memory || params.Iterations != p.params.Iterations || params.Parallelism != p.params.Parallelism, nil
}

func (p *passwords) enter(ctx context.Context) error {
	busy := &model.Error{Code: model.CodeUnavailable, Detail: "too many logins at once", RetryAfter: 2 * time.Second}
	if p.waiting.Add(1) > maxHashWaiters {
		p.waiting.Add(-1)
		return busy
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		busy.Cause = ctx.Err()
		return busy
	}
}

func (p *passwords) leave() { <-p.slots }
