import { invalidArgument } from '../../domain/errors.ts';
import type { Subscription } from '../../domain/subscription.ts';
import type { PubSub } from '../../pubsub/pubsub.ts';
import { fieldMask } from '../json/field-mask-json.ts';
import { object } from '../json/json-field.ts';
import { subscriptionFields, subscriptionFromJson, subscriptionSchema } from '../json/subscription-json.ts';
import { withoutUnserved } from '../json/unserved-field.ts';
import { type Method, method } from './method.ts';
import { listReply, pageFields, pageOf } from './page.ts';
import { checkSameName } from './same-name.ts';
import { SubscriptionView } from './subscription-view.ts';

const subscription = { schema: subscriptionSchema, read: subscriptionFromJson };
const updateMask = fieldMask('The fields to change, such as ackDeadlineSeconds,labels.');

/** The administration of subscriptions (google.pubsub.v1 Subscriber). */
export function subscriptionMethods({ subscriptions, topics }: PubSub): Method[] {
  const show = (shown: Subscription) => new SubscriptionView(topics).toJson(shown);
  return [
    method({
      id: 'pubsub.projects.subscriptions.create',
      verb: 'PUT',
      shape: 'projects/*/subscriptions/*',
      summary: 'Creates a subscription of a topic, which gets what is published from now on.',
      body: subscription,
      async handle({ name, body }) {
        checkSameName(name, body.name, 'name');
        if (body.detached) throw invalidArgument('detached cannot be set; create the subscription, then call :detach.');
        return show(await subscriptions.create({ ...body, name }));
      },
    }),
    method({
      id: 'pubsub.projects.subscriptions.get',
      verb: 'GET',
      shape: 'projects/*/subscriptions/*',
      summary: 'Shows a subscription.',
      handle: async ({ name }) => show(await subscriptions.get(name)),
    }),
    method({
      id: 'pubsub.projects.subscriptions.list',
      verb: 'GET',
      shape: 'projects/*/subscriptions',
      summary: 'Lists the subscriptions of a project.',
      query: pageFields,
      async handle({ name, query }) {
        const { items, nextPageToken } = await subscriptions.list({ project: name, ...pageOf(query) });
        const view = new SubscriptionView(topics);
        const shown: object[] = [];
        for (const item of items) shown.push(await view.toJson(item));
        return listReply('subscriptions', { items: shown, nextPageToken }, (item) => item);
      },
    }),
    method({
      id: 'pubsub.projects.subscriptions.patch',
      verb: 'PATCH',
      shape: 'projects/*/subscriptions/*',
      summary: 'Changes the fields of a subscription that the update mask names.',
      query: { updateMask },
      body: object({ subscription, updateMask }),
      async handle({ name, query, body }) {
        const wanted = body.subscription ?? subscriptionFromJson({}, 'subscription');
        checkSameName(name, wanted.name, 'subscription.name');
        const paths = body.updateMask ?? query.updateMask ?? [];
        const served = withoutUnserved(paths, subscriptionFields);
        if (served.length === 0 && paths.length > 0) return show(await subscriptions.get(name));
        return show(await subscriptions.update({ ...wanted, name }, served));
      },
    }),
    method({
      id: 'pubsub.projects.subscriptions.delete',
      verb: 'DELETE',
      shape: 'projects/*/subscriptions/*',
      summary: 'Deletes a subscription and its backlog.',
      async handle({ name }) {
        await subscriptions.delete(name);
        return {};
      },
    }),
    method({
      id: 'pubsub.projects.subscriptions.detach',
      verb: 'POST',
      shape: 'projects/*/subscriptions/*:detach',
      summary: 'Detaches a subscription from its topic and drops its backlog.',
      body: object({}),
      async handle({ name }) {
        await subscriptions.detach(name);
        return {};
      },
    }),
    method({
      id: 'pubsub.projects.subscriptions.modifyPushConfig',
      verb: 'POST',
      shape: 'projects/*/subscriptions/*:modifyPushConfig',
      summary:
        'Pushes to an endpoint from now on, or to another one; an empty configuration makes messages wait for pulls.',
      body: object({ pushConfig: subscriptionFields.pushConfig }),
      async handle({ name, body }) {
        await subscriptions.modifyPushConfig(name, body.pushConfig?.push);
        return {};
      },
    }),
  ];
}
