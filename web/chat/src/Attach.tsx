import { ActionIcon } from '@mantine/core';
import { useRef } from 'react';
import { ClipIcon } from './icons';
import { useText } from './language';

/** Chooses files. */
export function Attach({ hint, onChoose }: { hint: string; onChoose: (files: readonly File[]) => void }) {
  const text = useText();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        multiple
        aria-label={text.attach}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = '';
          if (files.length > 0) onChoose(files);
        }}
      />
      <ActionIcon variant="subtle" size="xl" aria-label={text.attach} title={hint || undefined} onClick={() => input.current?.click()}>
        <ClipIcon />
      </ActionIcon>
    </>
  );
}
