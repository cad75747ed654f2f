package service

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"ackbox/model"
)

const (
	// auditPatience bounds writing an entry: the action has been done, and its answer waits.
	auditPatience = 3 * time.Second
	auditPage     = 500
)

// Audit keeps what operators do.
type Audit struct {
	store *model.Store
	ids   interface{ Next() (int64, error) }
	node  func() model.NodeID
	clock func() time.Time
	log   *slog.Logger
}

// NewAudit makes the audit log of one node.
func NewAudit(store *model.Store, ids interface{ Next() (int64, error) }, node func() model.NodeID, clock func() time.Time, log *slog.Logger) *Audit {
	return &Audit{store: store, ids: ids, node: node, clock: clock, log: log}
}

// Record stores what was done, or tried: it fills in the id, the time, the node and the actor's name. What has been done is not
// undone when the entry cannot be stored: then the whole entry goes to the log.
func (a *Audit) Record(ctx context.Context, e model.AuditEntry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditPatience) // also for a caller who is gone
	defer cancel()
	e.At, e.Node = model.MillisOf(a.clock()), a.node()
	if e.ActorID != 0 && e.Actor == "" {
		if user, err := a.store.UserByID(ctx, e.ActorID); err == nil {
			e.Actor = user.Username
		} else {
			a.log.Warn("the audit log lacks a name", "user", e.ActorID, "error", err)
		}
	}
	if e.ActorID == 0 && e.Actor != "" { // of a login that failed: perhaps a password in the wrong field
		if _, err := a.store.UserByUsername(ctx, e.Actor); err != nil {
			e.Actor = ""
		}
	}
	e.TargetID = cutText(e.TargetID, model.MaxAuditTarget)
	if len(e.Detail) > model.MaxAuditDetail {
		e.Detail = `{"cut":true}`
	}
	id, err := a.ids.Next()
	if err == nil {
		e.ID = model.AuditID(id)
		err = a.store.CreateAuditEntry(ctx, &e)
	}
	if err != nil {
		a.log.Error("an entry of the audit log could not be stored", "error", err, "actor_id", e.ActorID, "actor", e.Actor, "action", e.Action,
			"target_kind", e.TargetKind, "target_id", e.TargetID, "detail", e.Detail, "address", e.Address, "outcome", e.Outcome)
	}
}

// cutText is s of at most limit bytes, in whole characters and without what the database would refuse.
func cutText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// List is a page of the log, the latest first, and where the next one begins (nil: there is none).
func (a *Audit) List(ctx context.Context, f model.AuditFilter, after *model.AuditPlace, limit int) (list []model.AuditEntry, next *model.AuditPlace, err error) {
	if list, err = a.store.AuditEntries(ctx, f, after, limit+1); err != nil {
		return nil, nil, err
	}
	if len(list) > limit {
		list = list[:limit]
		next = &model.AuditPlace{At: list[limit-1].At, ID: list[limit-1].ID}
	}
	return list, next, nil
}

// Prune deletes entries that are older than a retention, in pages. A job calls it.
func (a *Audit) Prune(retention time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		before := model.MillisOf(a.clock().Add(-retention))
		for n := auditPage; n == auditPage; {
			var err error
			if n, err = a.store.PruneAudit(ctx, before, auditPage); err != nil {
				return err
			}
		}
		return nil
	}
}
