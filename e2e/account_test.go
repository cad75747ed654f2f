package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// register: who may be called what, and that a name is given once.
func register(t *testing.T, s *system) {
	name := freshName()
	session, err := s.client.Register(within(t, patience), client.Credentials{Username: strings.ToUpper(name), Password: password, DisplayName: "Zoë 🦊"})
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	u := session.User
	if u.Username != name || u.DisplayName != "Zoë 🦊" || !idPattern.MatchString(string(u.UserID)) {
		t.Errorf("got %+v, want the name folded to %s", u, name)
	}
	if session.AccessToken == "" || session.RefreshToken == "" || time.Until(session.ExpiresAt) <= 0 || time.Since(u.CreatedAt).Abs() > time.Minute {
		t.Errorf("got %+v", session)
	}
	if strings.Count(session.AccessToken, ".") != 2 {
		t.Errorf("the access token is no JWT: %s", session.AccessToken)
	}

	for name, want := range map[string]struct {
		username, password string
		status             int
	}{
		"taken":                         {name, password, http.StatusConflict},
		"taken in other case":           {strings.ToUpper(name), password, http.StatusConflict},
		"name too short":                {"ab", password, http.StatusUnprocessableEntity},
		"name too long":                 {strings.Repeat("a", 33), password, http.StatusUnprocessableEntity},
		"empty name":                    {"", password, http.StatusUnprocessableEntity},
		"name with a space":             {"a " + freshName(), password, http.StatusUnprocessableEntity},
		"name with a slash":             {"a/" + freshName(), password, http.StatusUnprocessableEntity},
		"name not ASCII":                {"ü" + freshName(), password, http.StatusUnprocessableEntity},
		"name that folds to ASCII":      {"\u212a" + freshName(), password, http.StatusUnprocessableEntity}, // the Kelvin sign
		"password too short":            {freshName(), "123456789", http.StatusUnprocessableEntity},
		"password too long":             {freshName(), strings.Repeat("p", 129), http.StatusUnprocessableEntity},
		"password short, in many bytes": {freshName(), strings.Repeat("ü", 9), http.StatusUnprocessableEntity},
		"empty password":                {freshName(), "", http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.client.Register(within(t, patience), client.Credentials{Username: want.username, Password: want.password})
			problem := refused(t, err, "", want.status)
			for _, field := range problem.Errors {
				if text, ok := field.Value.(string); ok && want.password != "" && text == want.password {
					t.Error("the problem repeats the password")
				}
			}
		})
	}
	for what, good := range map[string]client.Credentials{
		"shortest name":     {Username: freshName()[:3], Password: password},
		"longest name":      {Username: freshName() + strings.Repeat("z", 15), Password: password},
		"all characters":    {Username: "a.b_c-0" + freshName(), Password: password},
		"shortest password": {Username: freshName(), Password: "1234567890"},
		"longest password":  {Username: freshName(), Password: strings.Repeat("ü", 128)},
	} {
		if _, err := s.client.Register(within(t, patience), good); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if _, err := s.client.Login(within(t, patience), good); err != nil {
			t.Errorf("%s: login: %v", what, err)
		}
	}

	// Of racing registrations of one name one wins.
	racing := client.Credentials{Username: freshName(), Password: password}
	var won atomic.Int32
	group, ctx := errgroup.WithContext(within(t, patience))
	for range 4 {
		group.Go(func() error {
			_, err := s.client.Register(ctx, racing)
			if problem, ok := client.AsProblem(err); ok && problem.Status == http.StatusConflict {
				return nil
			}
			if err == nil {
				won.Add(1)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if won.Load() != 1 {
		t.Errorf("%d of the racing registrations won, want 1", won.Load())
	}
}

// login: an unknown user and a wrong password get the same answer. (That they are the same work: service TestLoginDoesTheSameWork.)
func login(t *testing.T, s *system) {
	bob := s.user(t)
	again, err := s.client.Login(within(t, patience), client.Credentials{Username: strings.ToUpper(bob.User.Username), Password: password})
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	if again.User.UserID != bob.id() || again.RefreshToken == bob.RefreshToken {
		t.Errorf("got user %s, want %s with tokens of its own", again.User.UserID, bob.id())
	}
	wrong := client.Credentials{Username: bob.User.Username, Password: "wrong " + password}
	unknown := client.Credentials{Username: freshName(), Password: "wrong " + password}
	_, err = s.client.Login(within(t, patience), wrong)
	first := refused(t, err, "", http.StatusUnauthorized)
	_, err = s.client.Login(within(t, patience), unknown)
	second := refused(t, err, "", http.StatusUnauthorized)
	if first.Code != second.Code || first.Title != second.Title || first.Detail != second.Detail || first.Type != second.Type {
		t.Fatalf("the answers differ: %v and %v", first, second)
	}
}

// refreshRotation: a refresh token works once, and its second use ends its whole family, but no other.
func refreshRotation(t *testing.T, s *system) {
	bob := s.user(t)
	other, err := s.client.Login(within(t, patience), client.Credentials{Username: bob.User.Username, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.client.Refresh(within(t, patience), bob.RefreshToken)
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	if second.User.UserID != bob.id() || second.RefreshToken == bob.RefreshToken {
		t.Errorf("got %+v, want bob with another refresh token", second)
	}
	if _, err := second.Me(within(t, patience)); err != nil {
		t.Errorf("with the renewed access token: %v", err)
	}
	third, err := s.client.Refresh(within(t, patience), second.RefreshToken)
	if err != nil {
		t.Fatalf("second refresh: %v", err)
	}
	_, err = s.client.Refresh(within(t, patience), bob.RefreshToken)
	refused(t, err, "", http.StatusUnauthorized)
	_, err = s.client.Refresh(within(t, patience), third.RefreshToken)
	refused(t, err, "", http.StatusUnauthorized)
	other, err = s.client.Refresh(within(t, patience), other.RefreshToken)
	if err != nil {
		t.Fatalf("another family: %v", err)
	}

	// Racing uses of one token: at most one wins.
	var won atomic.Int32
	group, ctx := errgroup.WithContext(within(t, patience))
	for range 8 {
		group.Go(func() error {
			_, err := s.client.Refresh(ctx, other.RefreshToken)
			if problem, ok := client.AsProblem(err); ok && problem.Status == http.StatusUnauthorized {
				return nil
			}
			if err == nil {
				won.Add(1)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if won.Load() > 1 {
		t.Errorf("%d racing refreshes with one token won", won.Load())
	}
	// What has not even the form of a refresh token may be called a bad field.
	for _, strange := range []string{"garbage", second.AccessToken, strings.Repeat("r", 5000)} {
		_, err = s.client.Refresh(within(t, patience), strange)
		refused(t, err, "", http.StatusUnauthorized, http.StatusUnprocessableEntity)
	}
}

// logout: 204, and the refresh token is dead.
func logout(t *testing.T, s *system) {
	bob := s.user(t)
	answer, err := bob.Logout(within(t, patience))
	if err != nil || answer.Status != http.StatusNoContent {
		t.Fatalf("got %d, %v; want 204", answer.Status, err)
	}
	_, err = s.client.Refresh(within(t, patience), bob.RefreshToken)
	refused(t, err, "", http.StatusUnauthorized)
	if _, err := s.client.Login(within(t, patience), client.Credentials{Username: bob.User.Username, Password: password}); err != nil {
		t.Errorf("login after a logout: %v", err)
	}
}

// passwordChange: only by the old one; the session that changed it goes on, the others and the old password do not.
func passwordChange(t *testing.T, s *system) {
	const chosen = "another horse, another battery"
	bob := s.user(t)
	other, err := s.client.Login(within(t, patience), client.Credentials{Username: bob.User.Username, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	away := (&actor{Session: other, t: t}).openLive("away")
	for _, bad := range [][2]string{{"not the password", chosen}, {"", chosen}, {password, "short"}, {password, strings.Repeat("x", 129)}} {
		_, err := bob.ChangePassword(within(t, patience), bad[0], bad[1])
		refused(t, err, "validation_failed", http.StatusUnprocessableEntity)
	}
	if answer, err := bob.ChangePassword(within(t, patience), password, chosen); err != nil || answer.Status != http.StatusNoContent {
		t.Fatalf("got %d, %v; want 204", answer.Status, err)
	}
	away.endsWith(4001)
	_, err = other.Me(within(t, patience))
	refused(t, err, "token_revoked", http.StatusUnauthorized)
	_, err = s.client.Refresh(within(t, patience), other.RefreshToken)
	refused(t, err, "", http.StatusUnauthorized)
	if _, err := bob.Me(within(t, patience)); err != nil {
		t.Errorf("the session that changed it: %v", err)
	}
	if _, err := s.client.Refresh(within(t, patience), bob.RefreshToken); err != nil {
		t.Errorf("its refresh token: %v", err)
	}
	_, err = s.client.Login(within(t, patience), client.Credentials{Username: bob.User.Username, Password: password})
	refused(t, err, "invalid_credentials", http.StatusUnauthorized)
	if _, err := s.client.Login(within(t, patience), client.Credentials{Username: bob.User.Username, Password: chosen}); err != nil {
		t.Errorf("login by the new password: %v", err)
	}
}

// profile: reading and changing the own user object.
func profile(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	me, err := bob.Me(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	want := bob.User // what others see of it, too
	want.DirectMessages = "everyone"
	if me != want {
		t.Errorf("got %+v, want what register answered, and the setting: %+v", me, want)
	}
	changed, err := bob.PatchMe(within(t, patience), map[string]any{"display_name": "Bob 🐟", "avatar_url": "https://example.com/bob.png"})
	if err != nil {
		t.Fatal(err)
	}
	want.DisplayName, want.AvatarURL = "Bob 🐟", "https://example.com/bob.png"
	if changed != want {
		t.Errorf("got %+v, want %+v", changed, want)
	}
	if changed, err = bob.PatchMe(within(t, patience), map[string]any{"display_name": "Bob"}); err != nil || changed.AvatarURL != want.AvatarURL || changed.DisplayName != "Bob" {
		t.Errorf("a patch of one field: got %+v, %v", changed, err)
	}
	want.DisplayName, want.DirectMessages = "Bob", ""
	seen, err := alice.Lookup(within(t, patience), bob.id())
	if err != nil || seen != want {
		t.Errorf("got %+v, %v; want %+v", seen, err, want)
	}
	_, err = bob.PatchMe(within(t, patience), map[string]any{"username": "somebody"})
	refused(t, err, "", http.StatusUnprocessableEntity)
	_, err = bob.PatchMe(within(t, patience), map[string]any{"display_name": 5})
	refused(t, err, "", http.StatusUnprocessableEntity)
	_, err = bob.Lookup(within(t, patience), "9007199254740993")
	refused(t, err, "", http.StatusNotFound)
}

// userSearch: by exact name or prefix, and nothing in it is a pattern.
func userSearch(t *testing.T, s *system) {
	prefix := freshName()
	names := []string{prefix, prefix + "-one", prefix + "_two"}
	for _, name := range names {
		if _, err := s.client.Register(within(t, patience), client.Credentials{Username: name, Password: password}); err != nil {
			t.Fatal(err)
		}
	}
	bob := s.user(t)
	for query, want := range map[string][]string{
		prefix:                        names,
		prefix + "-":                  {prefix + "-one"},
		prefix + "_two":               {prefix + "_two"},
		prefix + "_":                  {prefix + "_two"},
		strings.ToUpper(prefix + "-"): {prefix + "-one"},
		prefix + "%":                  {},
		prefix + "-nobody":            {},
	} {
		found, err := bob.Search(within(t, patience), query)
		if problem, ok := client.AsProblem(err); ok && problem.Status == http.StatusUnprocessableEntity && strings.Contains(query, "%") {
			continue // no user name has a percent sign; refusing it is as good
		}
		if err != nil {
			t.Errorf("%q: %v", query, err)
			continue
		}
		got := []string{}
		for _, user := range found {
			got = append(got, user.Username)
		}
		slices.Sort(got)
		slices.Sort(want)
		if found == nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q (null: %t), want %q", query, got, found == nil, want)
		}
	}
}

// blocked is a page of one's own block list.
func (a *actor) blocked(query string) []client.UserID {
	a.t.Helper()
	answer := a.asks(http.MethodGet, "/v1/users/blocked"+query)
	var body struct {
		Users []struct {
			UserID client.UserID `json:"user_id"`
		} `json:"users"`
		HasMore bool `json:"has_more"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil || answer.Status != http.StatusOK || body.HasMore {
		a.t.Fatalf("block list: %d, %v: %s", answer.Status, err, answer.Body)
	}
	ids := make([]client.UserID, len(body.Users))
	for i, u := range body.Users {
		ids[i] = u.UserID
	}
	return ids
}

// block: a blocked user's direct messages are refused until the block is taken back; nobody else's are.
func block(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	earlier := client.Text(bob.id(), uuid.NewString(), "before")
	before := alice.sendDraft(earlier)
	for range 2 {
		if err := bob.Block(within(t, patience), alice.id()); err != nil {
			t.Fatalf("block: %v", err)
		}
	}
	if got := bob.blocked("?limit=1"); len(got) != 1 || got[0] != alice.id() {
		t.Errorf("bob's block list is %v, want alice", got)
	}
	if got := append(alice.blocked(""), bob.blocked("?cursor="+string(alice.id()))...); len(got) != 0 {
		t.Errorf("others in block lists: %v", got)
	}
	refusedDraft := client.Text(bob.id(), uuid.NewString(), "blocked")
	_, err := alice.Send(within(t, patience), refusedDraft)
	refused(t, err, "blocked", http.StatusForbidden)
	_, err = alice.Send(within(t, patience), client.Draft{
		ClientMsgID: uuid.NewString(), ConversationID: before.Message.ConversationID, Type: "text", Body: map[string]any{"text": "the other way"},
	})
	refused(t, err, "blocked", http.StatusForbidden)
	carol.send(bob, "hi")
	alice.send(carol, "hi")
	alice.repeat(earlier, before) // what was accepted stays answered

	for range 2 {
		if err := bob.Unblock(within(t, patience), alice.id()); err != nil {
			t.Fatalf("unblock: %v", err)
		}
	}
	alice.sendDraft(refusedDraft) // the refused key was not used up
	if n := len(bob.wholeMailbox()); n != 3 {
		t.Errorf("bob has %d entries, want 3", n)
	}
	refused(t, bob.Block(within(t, patience), "9007199254740993"), "", http.StatusNotFound)

	// A first message of somebody who was blocked before makes no conversation.
	dave := s.user(t)
	if err := bob.Block(within(t, patience), dave.id()); err != nil {
		t.Fatal(err)
	}
	_, err = dave.Send(within(t, patience), client.Text(bob.id(), uuid.NewString(), "hello?"))
	refused(t, err, "blocked", http.StatusForbidden)
	if n := len(dave.wholeMailbox()); n != 0 {
		t.Errorf("dave has %d entries, want none", n)
	}
}
