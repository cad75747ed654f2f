package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"ackbox/model"
)

func TestUsers(t *testing.T) {
	s := newServer(t, nil)
	get := func(path string) request { return request{method: http.MethodGet, path: path} }
	var me, u User
	s.accepted(get("/v1/users/me"), http.StatusOK).into(&me)
	a := s.accepted(get("/v1/users/"+me.UserID.String()), http.StatusOK)
	a.into(&u)
	if u != me || me.DisplayName != "everyone" || !strings.Contains(a.text, `"user_id":"`) {
		t.Errorf("got %s, want %+v", a.text, me)
	}
	s.refused(get("/v1/users/123"), model.CodeNotFound)
	var several struct{ Users []User }
	s.accepted(get("/v1/users/profiles?user_ids=123,"+me.UserID.String()+","+me.UserID.String()), http.StatusOK).into(&several)
	if len(several.Users) != 1 || several.Users[0] != me {
		t.Errorf("several at once: %+v, want me once", several.Users)
	}
	for _, query := range []string{"", "?user_ids=", "?user_ids=x", "?user_ids=" + strings.Repeat("1,", 100) + "1"} {
		s.refused(get("/v1/users/profiles"+query), model.CodeValidation)
	}

	patch := func(body string) request { return request{method: http.MethodPatch, path: "/v1/users/me", body: body} }
	s.accepted(patch(`{"display_name":"Évêryone 👋","avatar_url":"https://example.com/a.png"}`), http.StatusOK).into(&u)
	if u.DisplayName != "Évêryone 👋" || u.AvatarURL != "https://example.com/a.png" {
		t.Errorf("got %+v", u)
	}
	s.accepted(patch(`{"avatar_url":""}`), http.StatusOK).into(&u)
	if u.DisplayName != "Évêryone 👋" || u.AvatarURL != "" {
		t.Errorf("got %+v", u)
	}
	s.accepted(patch(`{}`), http.StatusOK)
	for _, body := range []string{
		`{"display_name":""}`, `{"display_name":"   "}`, `{"display_name":"a\u0000b"}`, `{"display_name":"` + strings.Repeat("é", 65) + `"}`, `{"display_name":7}`,
		`{"avatar_url":"javascript:alert(1)"}`, `{"avatar_url":"//example.com/x"}`, `{"avatar_url":"https://"}`, `{"avatar_url":"https://e.com/` + strings.Repeat("x", 512) + `"}`,
		`{"username":"other"}`, `[]`, `"x"`, `null`,
	} {
		s.refused(patch(body), model.CodeValidation)
	}
	s.accepted(patch(`{"display_name":"`+strings.Repeat("é", 64)+`"}`), http.StatusOK)
}

func TestSearch(t *testing.T) {
	s := newServer(t, nil)
	for i, name := range []string{"a_b", "a_b1", "axb", "a_b2"} {
		must(t, s.store.CreateUser(t.Context(), &model.User{ID: model.UserID(i + 1), Username: name, DisplayName: name, Role: model.RoleUser}))
	}
	for i := range 25 {
		must(t, s.store.CreateUser(t.Context(), &model.User{ID: model.UserID(i + 100), Username: "many" + string(rune('a'+i)), DisplayName: "x", Role: model.RoleUser}))
	}
	found := func(query string) []string {
		t.Helper()
		var out struct{ Users []User }
		s.accepted(request{method: http.MethodGet, path: "/v1/users?username=" + query}, http.StatusOK).into(&out)
		names := []string{}
		for _, u := range out.Users {
			names = append(names, u.Username)
		}
		return names
	}
	for query, want := range map[string][]string{"a_b": {"a_b", "a_b1", "a_b2"}, "A_B1": {"a_b1"}, "zzz": {}} {
		if got := found(query); !slices.Equal(got, want) {
			t.Errorf("search %q: got %v, want %v", query, got, want)
		}
	}
	if got := found("many"); len(got) != 20 {
		t.Errorf("got %d accounts, want 20", len(got))
	}
	for _, query := range []string{"", "?username=", "?username=%25", "?username=a%27b", "?username=" + strings.Repeat("a", 33), "?username=%ff", "?name=a", "?username=a&limit=5"} {
		s.refused(request{method: http.MethodGet, path: "/v1/users" + query}, model.CodeValidation)
	}
}

func TestBlock(t *testing.T) {
	s := newServer(t, nil)
	var me User
	s.accepted(request{method: http.MethodGet, path: "/v1/users/me"}, http.StatusOK).into(&me)
	s.accepted(request{method: http.MethodPut, path: "/v1/users/7/block"}, http.StatusNoContent)
	s.accepted(request{method: http.MethodDelete, path: "/v1/users/7/block"}, http.StatusNoContent)
	s.refused(request{method: http.MethodPut, path: "/v1/users/404/block"}, model.CodeNotFound)
	if want := []string{me.UserID.String() + " 7 true", me.UserID.String() + " 7 false"}; !slices.Equal(s.blocks.calls, want) {
		t.Errorf("got %v, want %v", s.blocks.calls, want)
	}
}

func TestIDs(t *testing.T) {
	s := newServer(t, nil)
	var out struct {
		IDs []model.MessageID `json:"ids"`
	}
	for query, want := range map[string]int{"": 1, "?count=1": 1, "?count=1000": 1000} {
		s.accepted(request{method: http.MethodGet, path: "/v1/ids" + query}, http.StatusOK).into(&out)
		if len(out.IDs) != want || !slices.IsSorted(out.IDs) {
			t.Errorf("%s: got %d ids", query, len(out.IDs))
		}
	}
	for _, query := range []string{"?count=0", "?count=1001", "?count=-1", "?count=x", "?count=1.5", "?count=99999999999999999999", "?n=1"} {
		s.refused(request{method: http.MethodGet, path: "/v1/ids" + query}, model.CodeValidation)
	}
}
