package model

import "testing"

// auditLog: entries come back as they were, the latest first, page by page, by each filter; the old ones go.
func auditLog(t *testing.T, s *Store) {
	actor, other := newUser(), newUser()
	var ids []AuditID
	add := func(at Millis, actor UserID, action, target string) {
		t.Helper()
		id := AuditID(newMessageID())
		ids = append(ids, id)
		ok(t, s.CreateAuditEntry(t.Context(), &AuditEntry{ID: id, At: at, ActorID: actor, Actor: "root", Action: action, TargetKind: "user", TargetID: target, Detail: `{"a":"é"}`, Address: "::1", Node: 3, Outcome: "ok"}))
	}
	for n, at := range []Millis{10, 20, 20, 20, 30} {
		add(at, actor, "user.ban", []string{"1", "2"}[n%2])
	}
	add(40, other, "user.unban", "1")

	var got []AuditID
	var place *AuditPlace
	for range 4 {
		page, err := s.AuditEntries(t.Context(), AuditFilter{ActorID: actor}, place, 2)
		ok(t, err)
		for _, e := range page {
			got = append(got, e.ID)
			place = &AuditPlace{e.At, e.ID}
		}
	}
	want(t, "entries in pages", len(got), 5)
	for i, id := range got {
		want(t, "order", id, ids[4-i])
	}
	count := func(what string, f AuditFilter, n int) {
		t.Helper()
		list, err := s.AuditEntries(t.Context(), f, nil, 10)
		ok(t, err)
		want(t, what, len(list), n)
	}
	count("of an action", AuditFilter{Action: "user.unban"}, 1)
	count("of a target", AuditFilter{ActorID: actor, TargetKind: "user", TargetID: "2"}, 2)
	count("of another kind", AuditFilter{TargetKind: "node", TargetID: "2"}, 0)
	count("of a time", AuditFilter{From: 20, To: 30}, 3)

	list, err := s.AuditEntries(t.Context(), AuditFilter{ActorID: other}, nil, 1)
	ok(t, err)
	want(t, "an entry", list[0], AuditEntry{ID: ids[5], At: 40, ActorID: other, Actor: "root", Action: "user.unban", TargetKind: "user", TargetID: "1", Detail: `{"a":"é"}`, Address: "::1", Node: 3, Outcome: "ok"})

	for _, left := range []int{2, 2, 0} {
		n, err := s.PruneAudit(t.Context(), 30, 2)
		ok(t, err)
		want(t, "pruned", n, left)
	}
	count("what is young", AuditFilter{}, 2)
}
