import type { Client, Observable } from '@ackbox/client';
import { createContext, useContext, useSyncExternalStore } from 'react';
import type { People } from './people';

interface Services {
  readonly client: Client;
  readonly people: People;
}

const Context = createContext<Services | null>(null);

export const ClientProvider = Context.Provider;

function useServices(): Services {
  const services = useContext(Context);
  if (!services) throw new Error('outside of ClientProvider');
  return services;
}

export function useClient(): Client {
  return useServices().client;
}

export function usePeople(): People {
  return useServices().people;
}

export function useObservable<T>(value: Observable<T>): T {
  return useSyncExternalStore(value.subscribe, value.get);
}
