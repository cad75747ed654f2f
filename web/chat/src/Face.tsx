import { Avatar } from '@mantine/core';
import { fileOf, useFile } from './files';

const shown = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);

/** The picture of a user or a group, else the initials. One of another host is not loaded: that would tell who looks. */
export function Face({ name, picture, size = 'md' }: { name: string; picture: string | undefined; size?: 'sm' | 'md' | 'xl' }) {
  const { file } = useFile(picture ? fileOf(picture) : null);
  return <Avatar name={name} color="initials" radius="50%" size={size} src={file && shown.has(file.type) ? file.url : null} aria-hidden="true" alt="" />;
}
