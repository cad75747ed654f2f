package model

import (
	"context"
	"fmt"
)

// AuditID names an entry of the audit log.
type AuditID int64

// Limits of an audit entry's texts, in bytes; what is longer is cut.
const (
	MaxAuditTarget = 128
	MaxAuditDetail = 2048
)

// AuditEntry is one thing that an operator did, or tried: who, what, to what, when, from where, and what came of
// it. It has no secrets and no text of messages.
type AuditEntry struct {
	ID         AuditID `gorm:"primaryKey;autoIncrement:false"`
	At         Millis
	ActorID    UserID // 0: nobody who is known (a login that failed)
	Actor      string // the username then
	Action     string // user.ban …
	TargetKind string // user, node … or empty
	TargetID   string
	Detail     JSON // an object of up to 2 KiB
	Address    string
	Node       NodeID // that was asked
	Outcome    string // ok, or the problem's code
}

// TableName is gorm's way to ask.
func (AuditEntry) TableName() string { return "audit_log" }

// AuditFilter picks entries; zero values pick all.
type AuditFilter struct {
	ActorID    UserID
	Action     string
	TargetKind string
	TargetID   string
	From, To   Millis // from From to before To
}

// AuditPlace is where a page of the log ended.
type AuditPlace struct {
	At Millis
	ID AuditID
}

// CreateAuditEntry stores an entry.
func (s *Store) CreateAuditEntry(ctx context.Context, e *AuditEntry) error {
	if err := s.write(ctx).Create(e).Error; err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

// AuditEntries lists up to limit entries, the latest first, that come after a place (nil: from the start).
func (s *Store) AuditEntries(ctx context.Context, f AuditFilter, after *AuditPlace, limit int) ([]AuditEntry, error) {
	query := s.read(ctx).Order("at DESC, id DESC").Limit(limit)
	for column, value := range map[string]string{"action": f.Action, "target_kind": f.TargetKind, "target_id": f.TargetID} {
		if value != "" {
			query = query.Where(column+" = ?", value)
		}
	}
	if f.ActorID != 0 {
		query = query.Where("actor_id = ?", f.ActorID)
	}
	if f.From != 0 {
		query = query.Where("at >= ?", f.From)
	}
	if f.To != 0 {
		query = query.Where("at < ?", f.To)
	}
	if after != nil {
		query = query.Where("at <= ? AND (at < ? OR id < ?)", after.At, after.At, after.ID)
	}
	var list []AuditEntry
	if err := query.Find(&list).Error; err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return list, nil
}

// PruneAudit deletes up to limit entries of before a moment and says how many there were.
func (s *Store) PruneAudit(ctx context.Context, before Millis, limit int) (int, error) {
	var ids []AuditID // two statements: DELETE … LIMIT is not in SQLite
	if err := s.read(ctx).Model(&AuditEntry{}).Where("at < ?", before).Order("at").Limit(limit).Pluck("id", &ids).Error; err != nil {
		return 0, fmt.Errorf("find old audit entries: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if err := s.write(ctx).Where("id IN ?", ids).Delete(&AuditEntry{}).Error; err != nil {
		return 0, fmt.Errorf("delete old audit entries: %w", err)
	}
	return len(ids), nil
}
