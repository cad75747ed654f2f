import type { User } from '@ackbox/client';
import { useMemo } from 'react';
import { Dialog } from './Dialog';
import { useText } from './language';
import { PersonSearch } from './PersonSearch';
import { open } from './route';

/** Opens the direct chat with somebody. */
export function NewChat({ me, onClose }: { me: User; onClose: () => void }) {
  const text = useText();
  const without = useMemo(() => new Set([me.user_id]), [me]);
  return (
    <Dialog onClose={onClose} title={text.newChat}>
      <PersonSearch
        focus
        without={without}
        onPick={(user) => {
          open({ to: user.user_id });
          onClose();
        }}
      />
    </Dialog>
  );
}
