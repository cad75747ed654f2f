import type { ConversationList, Message, User } from '@ackbox/client';
import { useEffect } from 'react';
import { useClient, usePeople } from './client';
import { useText } from './language';
import { nameOf } from './people';
import { preview } from './preview';
import { open } from './route';

const storageKey = 'ackbox:notifications';

export function notificationsWanted(): boolean {
  return localStorage.getItem(storageKey) === 'on' && 'Notification' in window && Notification.permission === 'granted';
}

/** Turns notifications on, if the browser's user agrees, or off. Answers what they are then. */
export async function wantNotifications(on: boolean): Promise<boolean> {
  const granted = on && 'Notification' in window && (await Notification.requestPermission()) === 'granted';
  localStorage.setItem(storageKey, granted ? 'on' : 'off');
  return granted;
}

/** Shows a notification for a message that arrives while nobody looks. Tabs share one by its tag. */
export function Notifier({ me, list, openID }: { me: User; list: ConversationList; openID: string | null }) {
  const client = useClient();
  const people = usePeople();
  const text = useText();
  useEffect(() => {
    function arrived({ message }: { message: Message }): void {
      if (message.sender_id === me.user_id || message.type === 'notice' || message.type === 'recall' || message.recalled_at) return;
      people.want(message.sender_id);
      const looking = document.visibilityState === 'visible' && document.hasFocus() && message.conversation_id === openID;
      const muted = list.get().conversations.some((c) => c.conversation_id === message.conversation_id && c.muted);
      if (looking || muted || !notificationsWanted()) return;
      const sender = people.get(message.sender_id);
      const note = new Notification(text.newMessageFrom(sender ? nameOf(sender) : '…'), { body: preview(text, message), tag: message.message_id, icon: '/icon.svg' });
      note.onclick = () => {
        window.focus();
        open({ conversation: message.conversation_id });
        note.close();
      };
    }
    return client.on('message', arrived);
  }, [client, people, text, me, list, openID]);
  return null;
}
