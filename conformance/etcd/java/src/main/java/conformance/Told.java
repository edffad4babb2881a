package conformance;

import io.etcd.jetcd.Watch;
import io.etcd.jetcd.watch.WatchEvent;
import io.etcd.jetcd.watch.WatchResponse;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Everything that a watcher is told, in order. */
final class Told implements Watch.Listener {
    final List<String> events = new CopyOnWriteArrayList<>();
    final List<Long> revisions = new CopyOnWriteArrayList<>();
    final List<Throwable> errors = new CopyOnWriteArrayList<>();
    volatile long progress = -1;
    volatile boolean created;
    volatile boolean completed;

    @Override
    public void onNext(WatchResponse response) {
        created |= response.isCreatedNotify();
        if (response.isProgressNotify()) {
            progress = response.getHeader().getRevision();
        }
        for (WatchEvent event : response.getEvents()) {
            String before = event.getPrevKV().getKey().isEmpty() ? "" : " was " + Check.text(event.getPrevKV().getValue());
            events.add(event.getEventType() + " " + Check.text(event.getKeyValue().getKey()) + "="
                + Check.text(event.getKeyValue().getValue()) + before);
            revisions.add(event.getKeyValue().getModRevision());
        }
    }

    @Override
    public void onError(Throwable error) {
        errors.add(error);
    }

    @Override
    public void onCompleted() {
        completed = true;
    }

    void await(int count) throws Exception {
        Check.until(count + " events, not " + events + " " + errors, () -> events.size() >= count);
    }
}
