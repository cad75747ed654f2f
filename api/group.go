package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
	"ackbox/service"
)

// NewGroup asks for a group of the caller and some others.
type NewGroup struct {
	Name      string         `json:"name" minLength:"1" maxLength:"64"`
	MemberIDs []model.UserID `json:"member_ids" maxItems:"500" doc:"The others"`
}

// GroupChange changes a group; a field that is left out stays.
type GroupChange struct {
	Name         *string `json:"name,omitempty" minLength:"1" maxLength:"64"`
	AvatarURL    *string `json:"avatar_url,omitempty" maxLength:"512" doc:"http or https, or /v1/files/ and the id of an image that I have uploaded, of at most 1 MiB; empty takes it away"`
	Announcement *string `json:"announcement,omitempty" maxLength:"2000"`
	MuteAll      *bool   `json:"mute_all,omitempty" doc:"Only the owner and admins may write"`
	History      *string `json:"history,omitempty" enum:"joined,all" doc:"Who joined later sees what came since, or everything"`
}

// Member is one of a group.
type Member struct {
	UserID   model.UserID `json:"user_id"`
	Role     string       `json:"role" enum:"owner,admin,member"`
	JoinedAt model.Millis `json:"joined_at"`
}

type (
	groupPath struct {
		GroupID Param[model.ConversationID] `path:"group_id"`
	}
	memberPath struct {
		GroupID Param[model.ConversationID] `path:"group_id"`
		UserID  Param[model.UserID]         `path:"user_id"`
	}
	newGroupInput struct {
		IdempotencyKey string `header:"Idempotency-Key" maxLength:"64" doc:"Made once per group and repeated on every retry: the repeat is answered with the first group. 1 to 64 visible ASCII characters, shared with client_msg_id"`
		Body           NewGroup
	}
	newGroupOutput struct {
		Status int
		Body   Conversation
	}
	groupChangeInput struct {
		GroupID Param[model.ConversationID] `path:"group_id"`
		Body    GroupChange
	}
	membersInput struct {
		GroupID Param[model.ConversationID] `path:"group_id"`
		Cursor  Param[model.UserID]         `query:"cursor" doc:"next_cursor of the page before"`
		Limit   int                         `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	membersOutput struct {
		Body struct {
			Members    []Member `json:"members" doc:"By user id"`
			NextCursor string   `json:"next_cursor" required:"false" doc:"Empty on the last page"`
			HasMore    bool     `json:"has_more"`
		}
	}
	addMembersInput struct {
		GroupID Param[model.ConversationID] `path:"group_id"`
		Body    struct {
			MemberIDs []model.UserID `json:"member_ids" minItems:"1" maxItems:"500"`
		}
	}
	muteInput struct {
		GroupID Param[model.ConversationID] `path:"group_id"`
		UserID  Param[model.UserID]         `path:"user_id"`
		Body    struct {
			Seconds int64 `json:"seconds" minimum:"0" maximum:"31536000" doc:"0 ends it"`
		}
	}
	roleInput struct {
		GroupID Param[model.ConversationID] `path:"group_id"`
		UserID  Param[model.UserID]         `path:"user_id"`
		Body    struct {
			Role string `json:"role" enum:"owner,admin,member"`
		}
	}
)

func (a *API) registerGroups(h huma.API) {
	tags := []string{"groups"}
	route(h, huma.Operation{
		OperationID: "create-group", Method: http.MethodPost, Path: "/v1/groups", Tags: tags, DefaultStatus: http.StatusCreated, Summary: "Make a group", Description: "The group's id is its conversation's. With an Idempotency-Key the same request again answers 200 with the first group.",
		Responses: map[string]*huma.Response{"200": {Description: "An earlier request with this key made the group", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Conversation"}}}}},
	}, func(ctx context.Context, in *newGroupInput) (*newGroupOutput, error) {
		me := CallerFrom(ctx).UserID
		group, again, err := a.deps.Groups.Create(ctx, me, in.IdempotencyKey, in.Body.Name, in.Body.MemberIDs)
		if err != nil {
			return nil, err
		}
		out := &newGroupOutput{Status: http.StatusCreated, Body: conversationOf(me, group)}
		if again {
			out.Status = http.StatusOK
		}
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "get-group", Method: http.MethodGet, Path: "/v1/groups/{group_id}", Tags: tags, Summary: "A group",
	}, func(ctx context.Context, in *groupPath) (*conversationOutput, error) {
		me := CallerFrom(ctx).UserID
		return conversationOut(me)(a.deps.Groups.Get(ctx, me, in.GroupID.ID))
	})
	route(h, huma.Operation{
		OperationID: "update-group", Method: http.MethodPatch, Path: "/v1/groups/{group_id}", Tags: tags, Summary: "Rename a group or change its picture", Description: "By its owner and admins.",
	}, func(ctx context.Context, in *groupChangeInput) (*conversationOutput, error) {
		me := CallerFrom(ctx).UserID
		return conversationOut(me)(a.deps.Groups.Update(ctx, me, in.GroupID.ID, service.GroupChange(in.Body)))
	})
	route(h, huma.Operation{
		OperationID: "dissolve-group", Method: http.MethodDelete, Path: "/v1/groups/{group_id}", Tags: tags, Summary: "End a group", Description: "By its owner. The answer is the group as it was, with the notice of its end as its last message.",
	}, func(ctx context.Context, in *groupPath) (*conversationOutput, error) {
		me := CallerFrom(ctx).UserID
		return conversationOut(me)(a.deps.Groups.Dissolve(ctx, me, in.GroupID.ID))
	})
	route(h, huma.Operation{
		OperationID: "list-members", Method: http.MethodGet, Path: "/v1/groups/{group_id}/members", Tags: tags, Summary: "Its members",
	}, func(ctx context.Context, in *membersInput) (*membersOutput, error) {
		list, more, err := a.deps.Groups.Members(ctx, CallerFrom(ctx).UserID, in.GroupID.ID, in.Cursor.ID, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &membersOutput{}
		out.Body.Members, out.Body.HasMore = make([]Member, len(list)), more
		for i, m := range list {
			out.Body.Members[i] = Member{UserID: m.UserID, Role: m.Role, JoinedAt: m.JoinedAt}
		}
		if more {
			out.Body.NextCursor = list[len(list)-1].UserID.String()
		}
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "add-members", Method: http.MethodPost, Path: "/v1/groups/{group_id}/members", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Bring users in", Description: "By its owner and admins. Who belongs already stays as they are.",
	}, func(ctx context.Context, in *addMembersInput) (*none, error) {
		return nil, a.deps.Groups.Add(ctx, CallerFrom(ctx).UserID, in.GroupID.ID, in.Body.MemberIDs)
	})
	route(h, huma.Operation{
		OperationID: "remove-member", Method: http.MethodDelete, Path: "/v1/groups/{group_id}/members/{user_id}", Tags: tags,
		Summary: "Take a member out, or leave", Description: "Leaving is removing oneself. An owner who leaves hands the group to the oldest admin, else member.",
	}, func(ctx context.Context, in *memberPath) (*none, error) {
		return nil, a.deps.Groups.Remove(ctx, CallerFrom(ctx).UserID, in.GroupID.ID, in.UserID.ID)
	})
	route(h, huma.Operation{
		OperationID: "set-role", Method: http.MethodPut, Path: "/v1/groups/{group_id}/members/{user_id}/role", Tags: tags,
		Summary: "Give a role", Description: "By its owner. Making someone else owner hands the group over.",
	}, func(ctx context.Context, in *roleInput) (*none, error) {
		return nil, a.deps.Groups.SetRole(ctx, CallerFrom(ctx).UserID, in.GroupID.ID, in.UserID.ID, in.Body.Role)
	})
}

func (a *API) registerMutes(h huma.API) {
	route(h, huma.Operation{
		OperationID: "mute-member", Method: http.MethodPut, Path: "/v1/groups/{group_id}/members/{user_id}/mute", Tags: []string{"groups"},
		Summary: "Keep a member from writing for a while", Description: "By its owner and admins. Their sends are refused with 403 muted.",
	}, func(ctx context.Context, in *muteInput) (*none, error) {
		return nil, a.deps.Groups.Mute(ctx, CallerFrom(ctx).UserID, in.GroupID.ID, in.UserID.ID, time.Duration(in.Body.Seconds)*time.Second)
	})
}

func conversationOut(me model.UserID) func(*model.View, error) (*conversationOutput, error) {
	return func(v *model.View, err error) (*conversationOutput, error) {
		if err != nil {
			return nil, err
		}
		return &conversationOutput{conversationOf(me, v)}, nil
	}
}
