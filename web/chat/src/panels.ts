import { lazily } from './lazily';

// What few visits open, each in a file of its own.
export const NewChat = lazily(async () => (await import('./NewChat')).NewChat);
export const NewGroup = lazily(async () => (await import('./NewGroup')).NewGroup);
export const GroupPanel = lazily(async () => (await import('./GroupPanel')).GroupPanel);
export const ReadBy = lazily(async () => (await import('./ReadBy')).ReadBy);
export const Picture = lazily(async () => (await import('./Picture')).Picture);
export const Settings = lazily(async () => (await import('./Settings')).Settings);
export const PersonPanel = lazily(async () => (await import('./PersonPanel')).PersonPanel);
