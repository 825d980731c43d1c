import java.util.ArrayList;
import java.util.List;

public class Main {
    static void take(Object first, Object second) {
        synchronized (first) {
            pause(500);
            synchronized (second) {
                pause(1);
            }
        }
    }

    static void pause(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new RuntimeException(e);
        }
    }

    static void start(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    static void spin() {
        long count = 0;
        while (true) {
            count += 1;
        }
    }

    public static void main(String[] args) {
        Object left = new Object();
        Object right = new Object();
        List<byte[]> kept = new ArrayList<>();
        switch (args[0]) {
            case "deadlock" -> {
                start("orders-1", () -> take(left, right));
                start("orders-2", () -> take(right, left));
            }
            case "contended" -> {
                start("holder", () -> {
                    synchronized (left) {
                        pause(3600_000);
                    }
                });
                pause(500);
                for (int i = 0; i < 8; i++) {
                    start("http-" + i, () -> take(left, right));
                }
            }
            case "busy" -> start("parser-7", Main::spin);
            case "full" -> {
                long most = Runtime.getRuntime().maxMemory();
                while (most - (Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory()) > most / 20) {
                    kept.add(new byte[256 * 1024]);
                }
            }
            default -> { }
        }
        while (true) {
            pause(1000);
            if (kept.size() > 1_000_000) {
                return;
            }
        }
    }
}
