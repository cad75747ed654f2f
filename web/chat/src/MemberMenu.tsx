import { ActionIcon, Menu } from '@mantine/core';
import { useClient } from './client';
import type { Member } from './groupmembers';
import { DotsIcon } from './icons';
import { useText } from './language';
import { useName } from './people';
import { answered } from './problem';

interface Props {
  readonly groupID: string;
  readonly member: Member;
  /** My role: above the member's. */
  readonly mine: Member['role'];
  readonly change: (call: () => Promise<unknown>) => Promise<void>;
}

/** What I can do with another member. */
export function MemberMenu({ groupID, member, mine, change }: Props) {
  const client = useClient();
  const text = useText();
  const name = useName(member.user_id);
  const path = { group_id: groupID, user_id: member.user_id };
  const make = (role: Member['role']) => void change(() => answered(client.rest.PUT('/v1/groups/{group_id}/members/{user_id}/role', { params: { path }, body: { role } })));
  const remove = () => void change(() => answered(client.rest.DELETE('/v1/groups/{group_id}/members/{user_id}', { params: { path } })));
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" aria-label={text.memberActions(name)}>
          <DotsIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {mine === 'owner' ? (
          <>
            <Menu.Item onClick={() => make(member.role === 'admin' ? 'member' : 'admin')}>{member.role === 'admin' ? text.makeMember : text.makeAdmin}</Menu.Item>
            <Menu.Item onClick={() => make('owner')}>{text.handOver}</Menu.Item>
          </>
        ) : null}
        <Menu.Item color="red" onClick={remove}>
          {text.remove}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
