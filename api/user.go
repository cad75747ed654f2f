package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
	"ackbox/service"
)

// User is an account as everyone sees it.
type User struct {
	UserID      model.UserID `json:"user_id"`
	Username    string       `json:"username"`
	DisplayName string       `json:"display_name"`
	AvatarURL   string       `json:"avatar_url"`
	CreatedAt   model.Millis `json:"created_at"`
}

func userOf(u *model.User) User {
	return User{UserID: u.ID, Username: u.Username, DisplayName: u.DisplayName, AvatarURL: u.AvatarURL, CreatedAt: u.CreatedAt}
}

// Me is one's own account: what everyone sees, and the settings.
type Me struct {
	User
	DirectMessages model.DirectMessages `json:"direct_messages" enum:"everyone,contacts" doc:"From whom a first direct message is taken; contacts: whom I wrote to, or who shares a group with me"`
}

func meOf(u *model.User) Me { return Me{userOf(u), cmp.Or(u.DirectMessages, model.FromEveryone)} }

// Blocks says whose direct messages somebody does not want. It decides under the
// conversation's lock, so that a message is sent either before a block or not at all.
type Blocks interface {
	SetBlock(ctx context.Context, me, other model.UserID, blocked bool) error
}

// Profile changes what one's own account shows, and its settings; a field that is left out stays.
type Profile struct {
	DisplayName *string `json:"display_name,omitempty" minLength:"1" maxLength:"64"`
	AvatarURL   *string `json:"avatar_url,omitempty" maxLength:"512" doc:"http or https, or /v1/files/ and the id of an image that I have uploaded, of at most 1 MiB; empty takes it away"`
	// DirectMessages keeps strangers' first direct messages away, or not.
	DirectMessages *model.DirectMessages `json:"direct_messages,omitempty" enum:"everyone,contacts" doc:"contacts: a stranger's first direct message is refused with 403 not_accepting"`
}

type (
	userPath struct {
		UserID Param[model.UserID] `path:"user_id"`
	}
	userOutput struct{ Body User }
	meOutput   struct{ Body Me }

	updateMeInput struct{ Body Profile }

	searchInput struct {
		Username string `query:"username" required:"true" minLength:"1" maxLength:"32" pattern:"^[A-Za-z0-9._-]+$" patternDescription:"letters of ASCII, digits and . _ -" doc:"A username or its beginning"`
	}
	blockedInput struct {
		Cursor Param[model.UserID] `query:"cursor" doc:"next_cursor of the page before"`
		Limit  int                 `query:"limit" default:"50" minimum:"1" maximum:"200"`
	}
	blockedOutput struct {
		Body struct {
			Users      []User `json:"users" doc:"By user id"`
			NextCursor string `json:"next_cursor" required:"false" doc:"Empty on the last page"`
			HasMore    bool   `json:"has_more"`
		}
	}
	profilesInput struct {
		UserIDs []string `query:"user_ids" required:"true" minItems:"1" maxItems:"100" doc:"Ids, separated by commas"`
	}
	profilesOutput struct {
		Body struct {
			Users []User `json:"users" doc:"By user id; without those who do not exist"`
		}
	}
	searchOutput struct {
		Body struct {
			Users []User `json:"users" doc:"At most 20, the exact one first"`
		}
	}
)

func (a *API) registerUsers(h huma.API) {
	tags := []string{"users"}
	route(h, huma.Operation{
		OperationID: "get-me", Method: http.MethodGet, Path: "/v1/users/me", Tags: tags, Summary: "My account",
	}, func(ctx context.Context, _ *none) (*meOutput, error) {
		return meOut(a.deps.Users.Get(ctx, CallerFrom(ctx).UserID))
	})
	route(h, huma.Operation{
		OperationID: "update-me", Method: http.MethodPatch, Path: "/v1/users/me", Tags: tags, Summary: "Change what my account shows, and my settings",
	}, func(ctx context.Context, in *updateMeInput) (*meOutput, error) {
		return meOut(a.deps.Users.Update(ctx, CallerFrom(ctx).UserID, service.Profile(in.Body)))
	})
	route(h, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: "/v1/users/{user_id}", Tags: tags, Summary: "An account",
	}, func(ctx context.Context, in *userPath) (*userOutput, error) {
		return userOut(a.deps.Users.Get(ctx, in.UserID.ID))
	})
	route(h, huma.Operation{
		OperationID: "search-users", Method: http.MethodGet, Path: "/v1/users", Tags: tags, Summary: "Find accounts by username or its beginning",
	}, func(ctx context.Context, in *searchInput) (*searchOutput, error) {
		users, err := a.deps.Users.Search(ctx, in.Username)
		if err != nil {
			return nil, err
		}
		out := &searchOutput{}
		out.Body.Users = make([]User, len(users))
		for i := range users {
			out.Body.Users[i] = userOf(&users[i])
		}
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "get-profiles", Method: http.MethodGet, Path: "/v1/users/profiles", Tags: tags, Summary: "Several accounts at once",
	}, func(ctx context.Context, in *profilesInput) (*profilesOutput, error) {
		ids, err := userIDs(in.UserIDs)
		if err != nil {
			return nil, err
		}
		users, err := a.deps.Users.GetAll(ctx, ids)
		if err != nil {
			return nil, err
		}
		out := &profilesOutput{}
		out.Body.Users = make([]User, len(users))
		for i := range users {
			out.Body.Users[i] = userOf(&users[i])
		}
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "list-blocked", Method: http.MethodGet, Path: "/v1/users/blocked", Tags: tags, Summary: "Whose direct messages I refuse",
	}, func(ctx context.Context, in *blockedInput) (*blockedOutput, error) {
		users, more, err := a.deps.Users.Blocked(ctx, CallerFrom(ctx).UserID, in.Cursor.ID, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &blockedOutput{}
		out.Body.Users, out.Body.HasMore = make([]User, len(users)), more
		for i := range users {
			out.Body.Users[i] = userOf(&users[i])
		}
		if more {
			out.Body.NextCursor = users[len(users)-1].ID.String()
		}
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "block-user", Method: http.MethodPut, Path: "/v1/users/{user_id}/block", Tags: tags, Summary: "Refuse someone's direct messages",
	}, func(ctx context.Context, in *userPath) (*none, error) {
		return nil, a.deps.Blocks.SetBlock(ctx, CallerFrom(ctx).UserID, in.UserID.ID, true)
	})
	route(h, huma.Operation{
		OperationID: "unblock-user", Method: http.MethodDelete, Path: "/v1/users/{user_id}/block", Tags: tags, Summary: "Accept them again",
	}, func(ctx context.Context, in *userPath) (*none, error) {
		return nil, a.deps.Blocks.SetBlock(ctx, CallerFrom(ctx).UserID, in.UserID.ID, false)
	})
}

// userIDs reads the ids of a query.
func userIDs(texts []string) ([]model.UserID, error) {
	ids := make([]model.UserID, len(texts))
	for i, text := range texts {
		id, err := model.ParseID[model.UserID](text)
		if err != nil {
			return nil, model.Invalid("query.user_ids", "want ids: strings of decimal digits, separated by commas", text)
		}
		ids[i] = id
	}
	return ids, nil
}

func meOut(u *model.User, err error) (*meOutput, error) {
	if err != nil {
		return nil, err
	}
	return &meOutput{meOf(u)}, nil
}

func userOut(u *model.User, err error) (*userOutput, error) {
	if err != nil {
		return nil, err
	}
	return &userOutput{userOf(u)}, nil
}
