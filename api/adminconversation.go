package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ackbox/model"
)

// AnyConversation is a conversation as operators see it.
type AnyConversation struct {
	ID            model.ConversationID `json:"id"`
	Kind          string               `json:"kind" enum:"direct,group"`
	Delivery      string               `json:"delivery" enum:"mailbox,log"`
	Name          string               `json:"name"`
	OwnerID       string               `json:"owner_id" doc:"Of a group; empty of a direct conversation"`
	UserIDs       []model.UserID       `json:"user_ids,omitempty" doc:"Both of a direct conversation; one who writes to themselves is there twice"`
	Everyone      bool                 `json:"everyone,omitempty" doc:"The announcements: all accounts belong, and are not counted"`
	Members       int64                `json:"members"`
	Head          int64                `json:"head" doc:"Its highest conversation_seq"`
	MuteAll       bool                 `json:"mute_all"`
	CreatedAt     int64                `json:"created_at" doc:"Unix ms"`
	DissolvedAt   int64                `json:"dissolved_at" doc:"Unix ms; 0: it was not"`
	LastMessageAt int64                `json:"last_message_at" doc:"Unix ms; 0: there is none"`
}

// AnyConversationDetails is one of them, looked at.
type AnyConversationDetails struct {
	AnyConversation
	AvatarURL    string   `json:"avatar_url"`
	Announcement string   `json:"announcement"`
	History      string   `json:"history" enum:"joined,all"`
	People       []Person `json:"people,omitempty" doc:"Both of a direct conversation"`
}

// Person is an account in what operators see.
type Person struct {
	UserID      model.UserID `json:"user_id"`
	Username    string       `json:"username"`
	DisplayName string       `json:"display_name"`
	AvatarURL   string       `json:"avatar_url"`
}

// AnyMember is a member as operators see them.
type AnyMember struct {
	UserID      model.UserID `json:"user_id"`
	Username    string       `json:"username" doc:"Empty: the account is gone"`
	DisplayName string       `json:"display_name"`
	Role        string       `json:"role" enum:"owner,admin,member"`
	JoinedAt    int64        `json:"joined_at" doc:"Unix ms"`
	MutedUntil  int64        `json:"muted_until" doc:"Unix ms; 0: may write"`
	Delivered   int64        `json:"delivered" doc:"Up to this conversation_seq all is on one of their devices"`
	Read        int64        `json:"read"`
}

type (
	anyConversationsInput struct {
		Cursor   string              `query:"cursor" maxLength:"64" doc:"next_cursor of the page before"`
		Limit    int                 `query:"limit" minimum:"1" maximum:"200" default:"50"`
		Q        string              `query:"q" maxLength:"64" doc:"A part of the name, in any case, or a whole id"`
		Kind     string              `query:"kind" enum:"direct,group"`
		Delivery string              `query:"delivery" enum:"mailbox,log"`
		MemberID Param[model.UserID] `query:"member_id" doc:"Who belongs to it"`
		Sort     string              `query:"sort" enum:"created_at,-created_at,head,-head,members,-members" default:"-created_at" doc:"head and members read all conversations for each page"`
	}
	anyConversationsOutput struct {
		Body struct {
			Conversations []AnyConversation `json:"conversations"`
			NextCursor    string            `json:"next_cursor"`
			HasMore       bool              `json:"has_more"`
		}
	}
	anyConversationOutput struct {
		Body struct {
			Conversation AnyConversationDetails `json:"conversation"`
		}
	}
	anyMembersInput struct {
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
		Cursor         Param[model.UserID]         `query:"cursor" doc:"next_cursor of the page before"`
		Limit          int                         `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}
	anyMembersOutput struct {
		Body struct {
			Members    []AnyMember `json:"members" doc:"By user id"`
			NextCursor string      `json:"next_cursor"`
			HasMore    bool        `json:"has_more"`
		}
	}
	muteAllInput struct {
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
		Body           struct {
			MuteAll bool `json:"mute_all" doc:"Only the owner and admins may write"`
		}
	}
	anyMemberPath struct {
		ConversationID Param[model.ConversationID] `path:"conversation_id"`
		UserID         Param[model.UserID]         `path:"user_id"`
	}
)

func (a *API) registerAdminConversations(huma.API) {
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-conversations", Method: http.MethodGet, Path: "/v1/admin/conversations", Summary: "All conversations",
	}, read, a.anyConversations)
	adminRoute(a, huma.Operation{
		OperationID: "admin-get-conversation", Method: http.MethodGet, Path: "/v1/admin/conversations/{conversation_id}", Summary: "Any conversation",
	}, action{Name: "conversation.look", Target: "conversation", Param: "conversation_id"}, func(ctx context.Context, in *conversationPath) (*anyConversationOutput, error) {
		c, people, err := a.deps.Moderation.Conversation(ctx, in.ConversationID.ID)
		if err != nil {
			return nil, err
		}
		out := &anyConversationOutput{}
		out.Body.Conversation = AnyConversationDetails{AnyConversation: anyConversationOf(c), AvatarURL: c.AvatarURL, Announcement: c.Announcement, History: c.History}
		for _, u := range people {
			out.Body.Conversation.People = append(out.Body.Conversation.People, Person{UserID: u.ID, Username: u.Username, DisplayName: u.DisplayName, AvatarURL: u.AvatarURL})
		}
		return out, nil
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-list-members", Method: http.MethodGet, Path: "/v1/admin/conversations/{conversation_id}/members", Summary: "Who belongs to any conversation",
		Description: "Of the announcements, to which everybody belongs, the list is empty.",
	}, read, a.anyMembers)
	adminRoute(a, huma.Operation{
		OperationID: "admin-dissolve-conversation", Method: http.MethodPost, Path: "/v1/admin/conversations/{conversation_id}/dissolve", DefaultStatus: http.StatusNoContent,
		Summary: "End a group", Description: "As its owner would. 404 for what is no group, or was dissolved.",
	}, action{"conversation.dissolve", "conversation", "conversation_id"}, func(ctx context.Context, in *conversationPath) (*none, error) {
		return nil, a.deps.Moderation.Dissolve(ctx, in.ConversationID.ID)
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-mute-conversation", Method: http.MethodPut, Path: "/v1/admin/conversations/{conversation_id}/mute", DefaultStatus: http.StatusNoContent,
		Summary: "Let only a group's owner and admins write, or all again",
	}, action{"conversation.mute", "conversation", "conversation_id"}, func(ctx context.Context, in *muteAllInput) (*none, error) {
		audit(ctx, "mute_all", in.Body.MuteAll)
		return nil, a.deps.Moderation.MuteAll(ctx, in.ConversationID.ID, in.Body.MuteAll)
	})
	adminRoute(a, huma.Operation{
		OperationID: "admin-remove-member", Method: http.MethodDelete, Path: "/v1/admin/conversations/{conversation_id}/members/{user_id}", DefaultStatus: http.StatusNoContent,
		Summary: "Take anybody out of a group", Description: "An owner's group goes to who would inherit it if they left; with nobody left it is dissolved.",
	}, action{"conversation.remove_member", "conversation", "conversation_id"}, func(ctx context.Context, in *anyMemberPath) (*none, error) {
		audit(ctx, "user_id", in.UserID.ID)
		return nil, a.deps.Moderation.RemoveMember(ctx, in.ConversationID.ID, in.UserID.ID)
	})
}

func (a *API) anyConversations(ctx context.Context, in *anyConversationsInput) (*anyConversationsOutput, error) {
	name, descending := strings.CutPrefix(in.Sort, "-")
	by := model.ConversationSort(name)
	var after *model.ConversationPlace
	if in.Cursor != "" {
		value, id, _ := strings.Cut(in.Cursor, ".")
		number, err := strconv.ParseInt(value, 10, 64)
		place := model.ConversationPlace{Value: number}
		if err == nil {
			place.ID, err = model.ParseID[model.ConversationID](id)
		}
		if err != nil {
			return nil, badCursor(in.Cursor)
		}
		after = &place
	}
	f := model.ConversationFilter{Text: strings.TrimSpace(in.Q), Kind: model.Kind(in.Kind), Delivery: model.Delivery(in.Delivery), Member: in.MemberID.ID}
	list, more, err := a.deps.Moderation.List(ctx, f, by, descending, after, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &anyConversationsOutput{}
	out.Body.Conversations = make([]AnyConversation, len(list))
	for i, c := range list {
		out.Body.Conversations[i] = anyConversationOf(c)
	}
	if out.Body.HasMore = more; more {
		place := by.PlaceOf(list[len(list)-1])
		out.Body.NextCursor = fmt.Sprintf("%d.%d", place.Value, place.ID)
	}
	return out, nil
}

func (a *API) anyMembers(ctx context.Context, in *anyMembersInput) (*anyMembersOutput, error) {
	list, more, err := a.deps.Moderation.Members(ctx, in.ConversationID.ID, in.Cursor.ID, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &anyMembersOutput{}
	out.Body.Members = make([]AnyMember, len(list))
	for i, m := range list {
		out.Body.Members[i] = AnyMember{
			UserID: m.UserID, Username: m.Username, DisplayName: m.DisplayName, Role: m.Role, JoinedAt: int64(m.JoinedAt), MutedUntil: int64(m.MutedUntil), Delivered: m.DeliveredSeq, Read: m.ReadSeq,
		}
	}
	if out.Body.HasMore = more; more {
		out.Body.NextCursor = list[len(list)-1].UserID.String()
	}
	return out, nil
}

func anyConversationOf(c *model.Conversation) AnyConversation {
	out := AnyConversation{
		ID: c.ID, Kind: string(c.Kind), Delivery: string(c.Delivery), Name: c.Name, Everyone: c.ID == model.Everyone, Members: c.MemberCount, Head: c.Head, MuteAll: c.MuteAll,
		CreatedAt: int64(c.CreatedAt), DissolvedAt: int64(c.DissolvedAt),
	}
	if c.OwnerID != 0 {
		out.OwnerID = c.OwnerID.String()
	}
	if c.Kind == model.Direct {
		out.UserIDs = []model.UserID{c.Low, c.High}
	}
	if c.Head > 0 {
		out.LastMessageAt = int64(c.UpdatedAt)
	}
	return out
}
